"""`POST /v1/chat/completions`: what is checked, what is forced, and what is sent."""

from __future__ import annotations

from typing import Any

import orjson

from shared.callers.caller import Caller
from shared.errors import BadRequest
from shared.operations.chat_events import ChatEvents
from shared.operations.operation import Call, Proxied
from shared.upstream.deployment import Deployment
from shared.usage.estimate import chat_completion_tokens, chat_prompt_tokens
from shared.usage.usage import chat_usage

INCLUDE_USAGE = "stream_options.include_usage"

# A client may not choose where a call goes or with whose credentials; LiteLLM clients put these in the body.
_CREDENTIAL_FIELDS = ("api_key", "api_base", "base_url", "api_version", "azure_ad_token")


def parse(call_id: str, caller: Caller, path_model: str | None, body: dict[str, Any]) -> Call:
    """A Call of a chat request's JSON; `path_model` is the deployment of an Azure-style path, and wins.

    Raises BadRequest naming the parameter. Only what the gateway itself needs is checked; the rest is the model's.
    """
    for name in _CREDENTIAL_FIELDS:
        if name in body:
            raise BadRequest(f"`{name}` is not accepted from clients here.", param=name, code="unsupported_parameter")
    model = path_model if path_model is not None else body.get("model")
    if model is None:
        raise _missing("model")
    if not isinstance(model, str) or not model:
        raise _wrong_type("model", "a string that is not empty", body.get("model"))
    messages = body.get("messages")
    if messages is None:
        raise _missing("messages")
    if not isinstance(messages, list):
        raise _wrong_type("messages", "an array", messages)
    if not messages:
        raise BadRequest("`messages` is empty: at least one message is needed.", param="messages", code="empty_array")
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _wrong_type("stream", "a boolean", stream)
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise _wrong_type("stream_options", "an object", options)
    if options is not None and not stream:
        raise BadRequest(
            "`stream_options` is only allowed when `stream` is true.", param="stream_options", code="invalid_value"
        )
    timeout_s = body.get("timeout")
    if timeout_s is not None and (isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float)):
        raise _wrong_type("timeout", "a number of seconds", timeout_s)
    if timeout_s is not None and timeout_s <= 0:
        raise BadRequest("`timeout` must be above 0 seconds.", param="timeout", code="invalid_value")
    return Call(
        call_id=call_id,
        caller=caller,
        model=model,
        body={name: value for name, value in body.items() if name != "timeout"},
        stream=bool(stream),
        timeout_s=float(timeout_s) if timeout_s is not None else None,
    )


def encode(call: Call, deployment: Deployment) -> bytes:
    """The JSON for one deployment: its own name as `model`, and usage asked for in a stream where it can be.

    Raises BadRequest for JSON nested more than 254 levels deep, which orjson reads and does not write.
    """
    body = dict(call.body)
    body["model"] = deployment.name
    if call.stream and deployment.supports("chat_completions", INCLUDE_USAGE):
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise BadRequest("The request's body is nested too deeply.", code="invalid_json") from None


def wants_usage(call: Call) -> bool:
    """Whether the client itself asked for the usage chunk."""
    options = call.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


CHAT = Proxied(
    upstream_path="chat/completions",
    modes=frozenset({"chat"}),
    providers=frozenset({"azure", "openai"}),
    parse=parse,
    encode=encode,
    usage=chat_usage,
    translator=lambda call: ChatEvents(call.call_id, call.model, show_usage=wants_usage(call)),
    prompt_tokens=lambda call: chat_prompt_tokens(call.body),
    completion_tokens=chat_completion_tokens,
)


def _missing(name: str) -> BadRequest:
    return BadRequest(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def _wrong_type(name: str, expected: str, found: Any) -> BadRequest:
    kinds = {bool: "a boolean", str: "a string", int: "an integer", float: "a number", list: "an array"}
    got = kinds.get(type(found), "null" if found is None else "an object")
    return BadRequest(
        f"Invalid type for '{name}': expected {expected}, but got {got} instead.", param=name, code="invalid_type"
    )
