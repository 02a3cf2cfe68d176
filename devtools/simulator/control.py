"""The `/_sim` routes: what a test reads from the simulator and tells it. JSON in, JSON out.

    GET    /health                             {"ok", "resources": [names], "seed"}
    POST   /reset                              everything as at the start; issued tokens stay valid
    POST   /advance                            {"seconds"}: windows roll over, tokens expire, background responses go
                                               on, and batches are where the clock has them
    GET    /bill         DELETE /bill          {"lines": [bill.Line], "count", "prompt_tokens", ...}; `?batch=ID`
    GET    /bill/totals                        {"totals": [{the fields of bill.TOTALS_BY, "count", tokens}]}
    GET    /batches                            {"batches": [{"id", "resource", "deployment", "status", ...}]}
    PATCH  /batches/{id}                       {"held"?, "expiring"?, "shown_status"?}: batches_store.Batch
    GET    /requests     DELETE /requests      {"requests": [recorder.Record], "count"}
    POST   /faults                             faults.Rule, all fields optional; gives {"id"}
    GET    /faults       DELETE /faults        {"faults": [faults.Rule], "count"}
    GET    /resources                          {name: {"keys", "region", "local_auth", "role", "deployments", ...}}
    PUT    /resources/{name}                   adds or replaces one: the same shape, all optional; also PATCH, DELETE
    PUT    /resources/{name}/deployments/{d}   adds or replaces one: resources.Deployment; also PATCH, DELETE
    GET    /identity                           {"lifetime_s", "role", "roles": {client_id: role}, "issued"}
    PUT    /identity                           {"lifetime_s"?, "role"?, "roles"?}; a null role is a missing one
    POST   /identity/revoke                    {"revoked"}: earlier tokens are 401 from now on
    GET    /identity/token                     App Service's endpoint (identity.py)
    GET    /images/{seed}/{w}x{h}/...          the PNG behind a `url` of dall-e-3

A wrong value is a 400, an unknown name a 404, both `{"error": message}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import Response
from starlette.routing import Route

from devtools.simulator import batch_run, fine_tuning_run, pictures, resources
from devtools.simulator.resources import SettingsError
from devtools.simulator.world import World

Handler = Callable[[World, WebRequest, dict[str, Any]], Any]
PREFIX = "/_sim"
IMAGE_PATH = "/images/{seed}/{width:int}x{height:int}/generated_00.png"
IMAGE_PIXELS_MAX = 4096 * 4096


def control_app(world: World) -> Starlette:
    """The control routes over one world."""
    return Starlette(routes=[
        *(Route(PREFIX + path, _endpoint(world, handler), methods=[method]) for method, path, handler in ROUTES),
        Route(PREFIX + IMAGE_PATH, _image),
    ])  # fmt: skip


async def _image(request: WebRequest) -> Response:
    """A picture whose URL dall-e-3 gave; like Azure's blob storage it asks for no key."""
    width, height = request.path_params["width"], request.path_params["height"]
    if not 0 < width * height <= IMAGE_PIXELS_MAX:
        return _json(404, {"error": "no such image"})
    return Response(pictures.made("png", width, height, request.path_params["seed"]), media_type="image/png")


def _endpoint(world: World, handler: Handler) -> Callable[[WebRequest], Awaitable[Response]]:
    async def endpoint(request: WebRequest) -> Response:
        raw = await request.body()
        try:
            settings = orjson.loads(raw) if raw else {}
            if not isinstance(settings, dict):
                raise SettingsError("the body must be a JSON object")
            answer = handler(world, request, settings)
            return _json(200, await answer if isawaitable(answer) else answer)
        except KeyError as error:
            return _json(404, {"error": f"no such thing: {error.args[0]}"})
        except (SettingsError, TypeError, ValueError) as error:
            return _json(400, {"error": str(error)})

    return endpoint


def _json(status: int, body: object) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _health(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    return {"ok": True, "resources": sorted(world.resources), "seed": world.seed}


def _reset(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    world.reset()
    return {"ok": True}


async def _advance(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    world.advance(float(settings.get("seconds", 0)))
    await batch_run.catch_up(world)
    return {"ok": True}


def _settle(world: World) -> None:
    """Brings the bill up to date with what is charged by the clock."""
    world.responses.settle(world.now())
    fine_tuning_run.settle_all(world)


def _bill(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    _settle(world)
    return world.bill.to_json(request.query_params.get("batch"))


def _bill_totals(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    _settle(world)
    return {"totals": world.bill.totals()}


def _clear_bill(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    world.bill.clear()
    return {"ok": True}


def _batches(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    return {"batches": [batch.to_json() for name in world.resources for batch in world.batches.all(name)]}


def _patch_batch(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    batch = world.batches.named(request.path_params["id"])
    batch.configure(settings)
    return batch.to_json()


def _requests(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    return world.recorder.to_json()


def _clear_requests(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    world.recorder.clear()
    return {"ok": True}


def _faults(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    return world.faults.to_json()


def _add_fault(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    return {"id": world.faults.add(settings).id}


def _clear_faults(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    world.faults.clear()
    return {"ok": True}


def _resources(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    return {name: resource.to_json() for name, resource in world.resources.items()}


def _put_resource(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    name = request.path_params["name"]
    world.resources[name] = resources.resource_from(name, settings)
    return world.resources[name].to_json()


def _patch_resource(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    name = request.path_params["name"]
    world.resources[name] = resources.resource_from(name, settings, world.resources[name])
    return world.resources[name].to_json()


def _delete_resource(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    del world.resources[request.path_params["name"]]
    return {"ok": True}


def _put_deployment(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    deployments = world.resources[request.path_params["name"]].deployments
    deployments[request.path_params["deployment"]] = resources.deployment_from(settings)
    return {"ok": True}


def _patch_deployment(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    name = request.path_params["deployment"]
    deployments = world.resources[request.path_params["name"]].deployments
    deployments[name] = resources.deployment_from(settings, deployments[name])
    return {"ok": True}


def _delete_deployment(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    del world.resources[request.path_params["name"]].deployments[request.path_params["deployment"]]
    return {"ok": True}


def _identity(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    return world.identity.to_json()


def _put_identity(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    world.identity.configure(settings)
    return world.identity.to_json()


def _revoke(world: World, request: WebRequest, settings: dict[str, Any]) -> Any:
    return {"revoked": world.identity.revoke()}


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/health", _health),
    ("POST", "/reset", _reset),
    ("POST", "/advance", _advance),
    ("GET", "/bill", _bill),
    ("GET", "/bill/totals", _bill_totals),
    ("DELETE", "/bill", _clear_bill),
    ("GET", "/batches", _batches),
    ("PATCH", "/batches/{id}", _patch_batch),
    ("GET", "/requests", _requests),
    ("DELETE", "/requests", _clear_requests),
    ("GET", "/faults", _faults),
    ("POST", "/faults", _add_fault),
    ("DELETE", "/faults", _clear_faults),
    ("GET", "/resources", _resources),
    ("PUT", "/resources/{name}", _put_resource),
    ("PATCH", "/resources/{name}", _patch_resource),
    ("DELETE", "/resources/{name}", _delete_resource),
    ("PUT", "/resources/{name}/deployments/{deployment}", _put_deployment),
    ("PATCH", "/resources/{name}/deployments/{deployment}", _patch_deployment),
    ("DELETE", "/resources/{name}/deployments/{deployment}", _delete_deployment),
    ("GET", "/identity", _identity),
    ("PUT", "/identity", _put_identity),
    ("POST", "/identity/revoke", _revoke),
)
