"""Requests that come as a form: their fields are text, whatever they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shared.errors import BadRequest, PayloadTooLarge
from shared.operations.operation import Call, Incoming
from shared.operations.parsing import call_of, missing
from shared.upstream.content import Form, FormFile
from shared.upstream.deployment import Deployment

_TRUTH = {"true": True, "1": True, "false": False, "0": False, "": False}
_TRUTHS = ("stream", "drop_params")
_LISTS = ("additional_drop_params", "allowed_openai_params")


def form_call(incoming: Incoming) -> Call:
    """A Call of a form: what is for the gateway is read from its text. Raises BadRequest."""
    body: dict[str, Any] = dict(incoming.body)
    for name in _TRUTHS:
        if name in body:
            body[name] = _truth(name, body[name])
    for name in _LISTS:
        if f"{name}[]" in body:
            body[name] = body.pop(f"{name}[]")
        elif isinstance(body.get(name), str):
            body[name] = [body[name]]
    if isinstance(body.get("timeout"), str):
        try:
            body["timeout"] = float(body["timeout"])
        except ValueError:
            raise BadRequest(
                "Invalid 'timeout': expected a number of seconds.", param="timeout", code="invalid_type"
            ) from None
    return call_of(replace(incoming, body=body))


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, str) or value.lower() not in _TRUTH:
        raise BadRequest(f"Invalid '{name}': expected true or false.", param=name, code="invalid_type")
    return _TRUTH[value.lower()]


def form_for(call: Call, deployment: Deployment) -> Form:
    """The client's form with the deployment's own name as `model`."""
    fields = {name: _written(value) for name, value in call.body.items()}
    return Form({**fields, "model": deployment.name}, call.files)


def needs_file(files: Sequence[FormFile], fields: Sequence[str], bytes_max: int) -> None:
    """Checks that the form has a file in one of `fields`, and none that is empty or too large. Raises SpillwayError."""
    if not any(one.field in fields for one in files):
        raise missing(fields[0])
    for one in files:
        if one.bytes_count == 0:
            raise BadRequest(f"The file in '{one.field}' is empty.", param=one.field, code="invalid_value")
        if one.bytes_count > bytes_max:
            raise PayloadTooLarge(
                f"Maximum content size limit ({bytes_max}) exceeded ({one.bytes_count} bytes read).", param=one.field
            )


def _written(value: Any) -> str | list[str]:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [str(item) for item in value] if isinstance(value, list) else str(value)
