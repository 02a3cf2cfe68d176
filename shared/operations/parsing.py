"""What every operation checks of a request before anything is sent: the fields that the gateway itself needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import BadRequest
from shared.operations.operation import Call, Incoming

# Where a call goes and with whose credentials; LiteLLM clients put these in the body. client_credentials.py takes
# them out of it before any operation sees it.
CREDENTIAL_FIELDS = ("api_key", "api_base", "base_url", "api_version", "azure_ad_token")
NEVER_FROM_CLIENTS = ("tenant_id", "client_id", "client_secret", "azure_username", "azure_password")
# Fields for the gateway, not for the model.
_OWN_FIELDS = frozenset({"timeout"})


def call_of(incoming: Incoming, *, streams: bool = True) -> Call:
    """A Call with its model, its `stream` (False where the operation has none) and its own timeout.

    Raises BadRequest naming the parameter.
    """
    body = incoming.body
    for name in (*CREDENTIAL_FIELDS, *NEVER_FROM_CLIENTS):
        if name in body:
            raise BadRequest(f"`{name}` is not accepted from clients here.", param=name, code="unsupported_parameter")
    model = incoming.path_model if incoming.path_model is not None else body.get("model")
    if model is None:
        raise missing("model")
    if not isinstance(model, str) or not model:
        raise wrong_type("model", "a string that is not empty", body.get("model"))
    stream = boolean(body, "stream") if streams else False
    return Call(
        call_id=incoming.call_id,
        caller=incoming.caller,
        model=model,
        body={name: value for name, value in body.items() if name not in _OWN_FIELDS},
        stream=stream,
        seal=incoming.seal,
        timeout_s=_timeout_s(body),
        files=incoming.files,
    )


def boolean(body: Mapping[str, Any], name: str) -> bool:
    """The field's value, False when it is absent or null. Raises BadRequest for anything but a boolean."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return bool(value)


def text(body: Mapping[str, Any], name: str) -> str:
    """A required string that is not empty. Raises BadRequest."""
    value = body.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    if not value:
        raise BadRequest(f"`{name}` is empty.", param=name, code="invalid_value")
    return value


def number(body: Mapping[str, Any], name: str) -> None:
    """Checks an optional number. Raises BadRequest."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise wrong_type(name, "a number", value)


def stream_options(body: Mapping[str, Any], *, stream: bool) -> None:
    """Checks `stream_options`. Raises BadRequest."""
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise wrong_type("stream_options", "an object", options)
    if options is not None and not stream:
        raise BadRequest(
            "`stream_options` is only allowed when `stream` is true.", param="stream_options", code="invalid_value"
        )


def wants_usage(call: Call) -> bool:
    """Whether the client itself asked for the usage chunk of a stream."""
    options = call.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def asked_tier(call: Call) -> str | None:
    """The service tier that a request asks for: what it is billed as, when its answer never tells."""
    tier = call.body.get("service_tier")
    return tier if isinstance(tier, str) else None


def missing(name: str) -> BadRequest:
    """The error for a required field that is not there."""
    return BadRequest(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def wrong_type(name: str, expected: str, found: Any) -> BadRequest:
    """The error for a field of the wrong JSON type."""
    kinds = {bool: "a boolean", str: "a string", int: "an integer", float: "a number", list: "an array"}
    got = kinds.get(type(found), "null" if found is None else "an object")
    return BadRequest(
        f"Invalid type for '{name}': expected {expected}, but got {got} instead.", param=name, code="invalid_type"
    )


def _timeout_s(body: Mapping[str, Any]) -> float | None:
    timeout_s = body.get("timeout")
    if timeout_s is None:
        return None
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise wrong_type("timeout", "a number of seconds", timeout_s)
    if not 0 < timeout_s < float("inf"):
        raise BadRequest("`timeout` must be above 0 seconds.", param="timeout", code="invalid_value")
    return float(timeout_s)
