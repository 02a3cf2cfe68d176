"""Which Responses requests Azure refuses before it reads their input."""

from __future__ import annotations

from typing import Any

from devtools.simulator import checks, errors
from devtools.simulator.models import Model
from devtools.simulator.surfaces import V1

FIELDS = frozenset({
    "model", "input", "instructions", "previous_response_id", "background", "store", "stream", "stream_options",
    "include", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls", "prompt", "prompt_cache_key",
    "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "temperature", "text", "tool_choice",
    "tools", "top_logprobs", "top_p", "truncation", "user",
})  # fmt: skip
INCLUDES = (
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    "reasoning.encrypted_content", "message.output_text.logprobs",
)  # fmt: skip
TOOLS = (
    "function", "custom", "code_interpreter", "file_search", "web_search", "web_search_preview", "mcp",
    "image_generation", "computer_use_preview", "local_shell", "shell", "apply_patch",
)  # fmt: skip
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SUMMARIES = ("auto", "concise", "detailed")
OUTPUT_TOKENS_MIN = 16
REASONING_REJECTS = ("temperature", "top_p", "top_logprobs")


def check(body: dict[str, Any], model: Model) -> None:
    """Raises AzureError 400 as Azure would."""
    checks.known(body, FIELDS, V1)
    if body.get("input") is None and body.get("previous_response_id") is None and body.get("prompt") is None:
        raise errors.invalid_request(
            'Missing required parameter: one of "input", "previous_response_id" or "prompt" must be provided.',
            "input",
            "missing_required_parameter",
        )
    checks.integer(body, "max_output_tokens", OUTPUT_TOKENS_MIN, model.output_tokens_max)
    checks.number(body, "temperature", 0, 2)
    checks.number(body, "top_p", 0, 1)
    checks.choice(body, "truncation", ("auto", "disabled"), "disabled")
    if body.get("stream") and not model.streams:
        raise errors.unsupported_value("stream", True, False)
    if body.get("background") and body.get("store") is False:
        raise errors.invalid_request("Background responses require 'store' to be true.", "background")
    _check_reasoning(body, model)
    included = checks.listing(body, "include")
    for name in included:
        if name not in INCLUDES:
            raise errors.invalid_value(name, INCLUDES, "include[0]")
    if "reasoning.encrypted_content" in included and not model.reasoning:
        raise errors.invalid_request("Encrypted content is not supported with this model.", "include")
    _check_tools(checks.listing(body, "tools"))
    _check_format(checks.mapping(checks.mapping(body, "text"), "format"), body)


def _check_reasoning(body: dict[str, Any], model: Model) -> None:
    reasoning = checks.mapping(body, "reasoning")
    if model.reasoning:
        for name in REASONING_REJECTS:
            if body.get(name) is not None:
                raise errors.unsupported_parameter(name)
    elif reasoning.get("effort") is not None:
        raise errors.unsupported_parameter("reasoning.effort")
    checks.choice(reasoning, "effort", EFFORTS, "medium")
    checks.choice(reasoning, "summary", SUMMARIES, "auto")


def _check_tools(tools: list[Any]) -> None:
    for index, tool in enumerate(tools):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in TOOLS:
            raise errors.invalid_value(kind, TOOLS, f"tools[{index}].type")
        if kind in ("function", "custom") and not tool.get("name"):
            raise errors.missing_parameter(f"tools[{index}].name")
        if kind == "code_interpreter" and not tool.get("container"):
            raise errors.missing_parameter(f"tools[{index}].container")


def _check_format(wanted: dict[str, Any], body: dict[str, Any]) -> None:
    kind = checks.choice(wanted, "type", ("text", "json_object", "json_schema"), "text")
    for name in ("name", "schema") if kind == "json_schema" else ():
        if not wanted.get(name):
            raise errors.missing_parameter(f"text.format.{name}")
    if kind == "json_object" and "json" not in f"{body.get('input')}{body.get('instructions')}".lower():
        raise errors.invalid_request(
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'.",
            "input",
        )
