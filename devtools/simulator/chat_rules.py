"""Which chat requests Azure refuses, before a model sees them: fields by api-version, parameters by model."""

from __future__ import annotations

from typing import Any

from devtools.simulator import chat_audio, chat_data, checks, errors
from devtools.simulator.models import Model
from devtools.simulator.surfaces import EXTENSIONS, V1, date_of

MESSAGES_MAX = 2048
TOOLS_MAX = 128
CHOICES_MAX = 128

FIELD_SINCE: dict[str, str] = {
    **dict.fromkeys(
        ("messages", "model", "temperature", "top_p", "n", "stream", "stop", "max_tokens", "presence_penalty",
         "frequency_penalty", "logit_bias", "user"), "2023-03-15",
    ),
    **dict.fromkeys(("functions", "function_call"), "2023-07-01"),
    **dict.fromkeys(("tools", "tool_choice", "response_format", "seed"), "2023-12-01"),
    **dict.fromkeys(("logprobs", "top_logprobs", "data_sources"), "2024-02-01"),
    **dict.fromkeys(("stream_options", "max_completion_tokens", "parallel_tool_calls"), "2024-09-01"),
    **dict.fromkeys(("reasoning_effort", "store", "metadata", "user_security_context"), "2024-12-01"),
    **dict.fromkeys(("prediction", "modalities", "audio"), "2025-01-01"),
    **dict.fromkeys(("service_tier", "verbosity", "prompt_cache_key", "safety_identifier"), "2025-04-01"),
}  # fmt: skip
"""The api-version date that brought each field (Azure's api-version changelog)."""
JSON_SCHEMA_SINCE = "2024-08-01"
ENHANCEMENTS_DATES = ("2024-02-15", "2024-04-01")
"""The previews that have `enhancements` without `/extensions`, and the first that has them no more."""
PLAIN = frozenset({"messages", "model", "temperature", "max_tokens", "max_completion_tokens", "user"})
"""A body of these alone needs no check of what the others may say."""
EXTENSIONS_FIELDS = frozenset({"dataSources", "enhancements"})


def check(body: dict[str, Any], model: Model, surface: str, api_version: str) -> None:
    """Raises AzureError 400 as Azure would; a body that passes has a non-empty list of messages."""
    _check_fields(body, model, surface, api_version)
    _check_messages(body.get("messages"))
    if not body.keys() <= PLAIN:
        _check_tools(body)
        checks.stream_options(body)
        checks.stop(body)
        chat_audio.check(body, model)
        chat_data.check(body)
    if model.reasoning:
        _check_reasoning(body, model)
    if body.get("stream") and not model.streams:
        raise errors.unsupported_value("stream", True, False)
    _check_numbers(body, model)


def _check_fields(body: dict[str, Any], model: Model, surface: str, api_version: str) -> None:
    date = date_of(api_version)
    allowed = EXTENSIONS_FIELDS if surface == EXTENSIONS else frozenset()
    if surface != EXTENSIONS and ENHANCEMENTS_DATES[0] <= date < ENHANCEMENTS_DATES[1]:
        allowed = frozenset({"enhancements"})
    unknown = [name for name in body if name not in allowed and FIELD_SINCE.get(name, "9999-") > date]
    if surface == V1 and unknown:
        raise errors.invalid_request(f"Unknown parameter: '{unknown[0]}'.", unknown[0], "unknown_parameter")
    if "reasoning_effort" in body and not model.reasoning and "reasoning_effort" not in unknown:
        unknown.append("reasoning_effort")
    if unknown:
        raise errors.unrecognized_arguments(unknown)
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema" and date < JSON_SCHEMA_SINCE:
        raise errors.coded(
            400,
            "BadRequest",
            "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later",
        )


def _check_messages(messages: object) -> None:
    if messages is None:
        raise errors.missing_parameter("messages")
    if not isinstance(messages, list):
        kind = "a string" if isinstance(messages, str) else "an object"
        raise errors.invalid_request(
            f"Invalid type for 'messages': expected an array of objects, but got {kind} instead.",
            "messages",
            "invalid_type",
        )
    if not messages:
        raise errors.invalid_request(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "messages",
            "empty_array",
        )
    _check_length("messages", messages, MESSAGES_MAX)


def _check_length(name: str, items: list[Any], length_max: int) -> None:
    if len(items) > length_max:
        raise errors.invalid_request(
            f"Invalid '{name}': array too long. Expected an array with maximum length {length_max}, but got an array "
            f"with length {len(items)} instead.",
            name,
            "array_above_max_length",
        )


def _check_tools(body: dict[str, Any]) -> None:
    tools = checks.objects(body, "tools")
    checks.objects(body, "functions")
    _check_length("tools", tools, TOOLS_MAX)
    for index, tool in enumerate(tools):
        if not isinstance(tool.get("function", {}), dict):
            raise errors.invalid_request(
                f"Invalid type for 'tools[{index}].function': expected an object.", f"tools[{index}].function",
                "invalid_type",
            )  # fmt: skip
    if body.get("tools") is None and "tool_choice" in body:
        raise errors.invalid_request(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice"
        )
    wanted = checks.mapping(body, "response_format")
    checks.mapping(wanted, "json_schema")
    if wanted.get("type") == "json_object" and "json" not in str(body["messages"]).lower():
        raise errors.invalid_request(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            "messages",
        )


def _check_reasoning(body: dict[str, Any], model: Model) -> None:
    for name in body:
        if name in model.rejects and body[name] is not None:
            raise errors.unsupported_parameter(name)
    for name, default in (("temperature", 1), ("presence_penalty", 0), ("frequency_penalty", 0)):
        if body.get(name, default) not in (default, None):
            raise errors.unsupported_value(name, body[name], default)


def _check_numbers(body: dict[str, Any], model: Model) -> None:
    for name in ("max_tokens", "max_completion_tokens", "n"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise errors.invalid_request(f"Invalid type for '{name}': expected an integer.", name, "invalid_type")
        if value < 1:
            raise errors.invalid_request(
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead.",
                name,
                "integer_below_min_value",
            )
        limit = CHOICES_MAX if name == "n" else model.output_tokens_max
        if value > limit:
            raise errors.invalid_request(_too_large(name, value, limit), name, "invalid_value")


def _too_large(name: str, value: int, limit: int) -> str:
    if name == "n":
        return f"Invalid 'n': integer above maximum value. Expected a value <= {limit}, but got {value} instead."
    return (
        f"{name} is too large: {value}. This model supports at most {limit} completion tokens, whereas you provided "
        f"{value}."
    )
