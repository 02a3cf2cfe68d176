"""From a request to a reply: resource, fault, caller, route, deployment, operation, in Azure's order."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import auth, errors, faults, forms, headers, operations, surfaces
from devtools.simulator.errors import AzureError
from devtools.simulator.exchange import JSON, Call, Reply, Request
from devtools.simulator.faults import Rule
from devtools.simulator.forms import Form
from devtools.simulator.operations import Operation
from devtools.simulator.recorder import Record
from devtools.simulator.resources import Resource
from devtools.simulator.surfaces import Address
from devtools.simulator.world import World


async def answer(world: World, request: Request, record: Record) -> tuple[Reply, Rule | None]:
    """The reply to a request, and the fault that strikes it."""
    address = surfaces.parse(request.path)
    resource = world.resources.get(address.resource) if address else None
    if address is None or resource is None:
        return _error_reply(errors.resource_not_found()), None
    found = operations.find(request.method, address)
    body = await _body(request, found[0]) if found else None
    name = address.deployment or _model_of(body)
    record.resource, record.deployment = resource.name, name
    record.operation = found[0].name if found else ""
    rule = world.faults.strike(record.operation, resource.name, name)
    if rule is not None:
        record.fault = rule.id
    if rule is not None and rule.replaces and not rule.billed:
        reply = faults.replacement(rule)
    else:
        reply = await _served(world, request, address, resource, found, body, name, rule)
        if rule is not None:
            reply = _struck(rule, reply, name, resource)
    request_id = world.uuid()
    reply.headers |= headers.of_resource(resource.region, request_id, request.headers.get("x-ms-client-request-id"))
    if rule is not None:
        reply.headers = faults.with_headers(rule, reply.headers)
    return reply, rule


async def _body(request: Request, operation: Operation) -> object:
    """The body of an operation on a deployment, a Form or JSON; None when it cannot be read as such."""
    if not operation.deployed:
        return None
    try:
        if operation.form:
            return await forms.parse(request.headers.get("content-type", ""), request.body)
        return orjson.loads(request.body)
    except ValueError:
        return None


def _model_of(body: object) -> str:
    if isinstance(body, Form):
        return body.get("model") or ""
    return str(body.get("model", "")) if isinstance(body, dict) else ""


def _struck(rule: Rule, reply: Reply, name: str, resource: Resource) -> Reply:
    """The reply as a fault leaves it; one that is billed and replaced ran to its end."""
    if not rule.replaces:
        faults.alter(rule, reply, errors.stream_error(name, resource.region))
        return reply
    if reply.line is not None and reply.events is not None:
        for event in reply.events:
            event.charge(reply.line)
        reply.line.finished = True
    replaced = faults.replacement(rule)
    replaced.line, replaced.limit, replaced.estimate = reply.line, reply.limit, reply.estimate
    replaced.first_ms = reply.first_ms
    return replaced


async def _served(
    world: World,
    request: Request,
    address: Address,
    resource: Resource,
    found: tuple[Operation, dict[str, str]] | None,
    body: object,
    name: str,
    rule: Rule | None,
) -> Reply:
    try:
        headers.check_request(request.headers)
        permission = found[0].permission if found else "inference"
        auth.check(request.headers, resource, address.surface, permission, world.identity, world.time())
        if found is None:
            raise errors.resource_not_found()
        operation, params = found
        version = surfaces.check_version(
            address.surface,
            request.query.get("api-version"),
            operation.since,
            preview=address.surface in operation.preview_on,
        )
        call = Call(world, request, operation.name, address.surface, version, resource, params=params, fault=rule)
        if operation.deployed:
            _place(call, body, name, in_path=address.deployment is not None, form=operation.form)
        return await operation.serve(call)
    except AzureError as error:
        return _error_reply(error)


def _place(call: Call, body: object, name: str, *, in_path: bool, form: bool) -> None:
    """Sets the call's body and deployment; raises AzureError."""
    if in_path and name not in call.resource.deployments:
        raise errors.deployment_not_found()
    if form:
        if not isinstance(body, Form):
            raise errors.not_multipart()
        call.form = body
    else:
        call.body = _checked(body)
    if not name:
        raise errors.missing_parameter("model")
    call.deployment_name = name
    call.deployment = call.resource.deployments.get(name)
    if call.deployment is None:
        raise errors.deployment_not_found()


def _checked(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise errors.not_json()
    return body


def _error_reply(error: AzureError) -> Reply:
    return Reply(error.status, {"content-type": JSON, **error.headers}, orjson.dumps(error.body))
