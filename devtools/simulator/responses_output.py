"""What a Responses call gives: the output items of an answer, and the response object around them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from devtools.simulator import checks, responses_errors, sealing
from devtools.simulator.answers import Answer, Choice
from devtools.simulator.exchange import Call
from devtools.simulator.prompts import text_tokens
from devtools.simulator.responses_input import ID_DIGITS, Conversation
from devtools.simulator.responses_store import Store

PIECE_CHARS = 12
CODE = "print(6 * 7)"
CODE_OUTPUT = {"type": "logs", "logs": "42\n"}
_ASKS_FOR_CODE = re.compile(r"\b(python|code|calculate|compute)\b", re.IGNORECASE)


@dataclass(slots=True)
class Output:
    """One output item in its final state; its text comes in `pieces`, whose tokens `tokens` are, one by one."""

    item: dict[str, Any]
    pieces: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    name_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def tokens_all(self) -> int:
        return self.reasoning_tokens + self.name_tokens + sum(self.tokens)


def as_chat(body: dict[str, Any]) -> dict[str, Any]:
    """The chat request that asks the model for the same."""
    functions = [tool for tool in checks.listing(body, "tools") if tool["type"] == "function"]
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, dict) and choice.get("type") != "function":
        choice = choice.get("mode", "none") if choice.get("type") == "allowed_tools" else "none"
    wanted = checks.mapping(checks.mapping(body, "text"), "format")
    return {
        "max_completion_tokens": body.get("max_output_tokens"),
        "reasoning_effort": checks.mapping(body, "reasoning").get("effort"),
        "parallel_tool_calls": body.get("parallel_tool_calls"),
        "response_format": {"type": wanted.get("type", "text"), "json_schema": wanted},
        "tools": [{"type": "function", "function": function} for function in functions],
        "tool_choice": choice,
    }


def outputs(call: Call, store: Store, conversation: Conversation, answer: Answer, *, reasoning: bool) -> list[Output]:
    """The items of an answer; raises AzureError for a container that is not there."""
    out = [_reasoning(call, answer)] if reasoning else []
    [choice] = answer.choices
    code = _code(call, store, conversation)
    if code is not None and not choice.tool_calls:
        out.append(code)
    if choice.tool_calls:
        out.extend(_function_call(call, choice, at) for at in range(len(choice.tool_calls)))
    elif choice.pieces or choice.finish != "length":
        out.append(_message(call, choice))
    return out


def _reasoning(call: Call, answer: Answer) -> Output:
    item: dict[str, Any] = {"id": call.world.hex_id("rs_", ID_DIGITS), "type": "reasoning", "summary": []}
    pieces: list[str] = []
    if checks.mapping(call.body, "reasoning").get("summary"):
        pieces = ["**Weighing", " the question**", "\n\nThe answer", " follows from it."]
        item["summary"] = [{"type": "summary_text", "text": "".join(pieces)}]
    if "reasoning.encrypted_content" in (call.body.get("include") or ()):
        item["encrypted_content"] = sealing.seal(call.world.seed, call.resource.name, item["id"])
    return Output(item, pieces, [0] * len(pieces), reasoning_tokens=answer.reasoning_tokens)


def _message(call: Call, choice: Choice) -> Output:
    text = {"type": "output_text", "annotations": [], "logprobs": [], "text": choice.text}
    item = {
        "id": call.world.hex_id("msg_", ID_DIGITS),
        "type": "message",
        "status": "completed" if choice.finish == "stop" else "incomplete",
        "content": [text],
        "role": "assistant",
    }
    return Output(item, choice.pieces, [choice.piece_tokens] * len(choice.pieces))


def _function_call(call: Call, choice: Choice, position: int) -> Output:
    function = choice.tool_calls[position]
    item = {
        "id": call.world.hex_id("fc_", ID_DIGITS),
        "type": "function_call",
        "status": "completed",
        "arguments": function.arguments,
        "call_id": call.world.id("call_", 24),
        "name": function.name,
    }
    pieces = _pieces(function.arguments)
    return Output(item, pieces, _shares(function.arguments, pieces), name_tokens=text_tokens(function.name))


def _code(call: Call, store: Store, conversation: Conversation) -> Output | None:
    """The call of a code interpreter, when there is one and it is asked for."""
    tools = [tool for tool in checks.listing(call.body, "tools") if tool["type"] == "code_interpreter"]
    if not tools or conversation.prompt.answers_tools:
        return None
    resource = call.resource.name
    container = tools[0]["container"]
    if isinstance(container, str) and container not in store.shelf(resource).containers:
        raise responses_errors.container_not_found(container)
    choice = call.body.get("tool_choice") or "auto"
    forced = isinstance(choice, dict) and choice.get("type") == "code_interpreter"
    if choice == "none" or not (forced or _ASKS_FOR_CODE.search(conversation.prompt.last)):
        return None
    if not isinstance(container, str):
        used = [item["container_id"] for item in conversation.items if item["type"] == "code_interpreter_call"]
        container = used[-1] if used else store.new_container(resource, call.world.hex_id("cntr_", ID_DIGITS))
    item = {
        "id": call.world.hex_id("ci_", ID_DIGITS),
        "type": "code_interpreter_call",
        "status": "completed",
        "code": CODE,
        "container_id": container,
        "outputs": [CODE_OUTPUT] if "code_interpreter_call.outputs" in (call.body.get("include") or ()) else None,
    }
    pieces = _pieces(CODE)
    return Output(item, pieces, _shares(CODE, pieces))


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE_CHARS] for at in range(0, len(text), PIECE_CHARS)]


def _shares(text: str, pieces: list[str]) -> list[int]:
    """A text's tokens, spread over its pieces."""
    total, sent, chars = text_tokens(text), 0, 0
    shares = []
    for piece in pieces:
        chars += len(piece)
        due = total * chars // len(text)
        shares.append(due - sent)
        sent = due
    return shares


def usage(input_tokens: int, cached: int, output_tokens: int, reasoning_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": input_tokens + output_tokens,
    }


def response(call: Call, *, reasoning: bool) -> dict[str, Any]:
    """The response object of a call as it is at its start: in progress, without output."""
    body = call.body
    asked = checks.mapping(body, "reasoning")
    return {
        "id": call.world.hex_id("resp_", ID_DIGITS),
        "object": "response",
        "created_at": int(call.world.time()),
        "status": "in_progress",
        "background": bool(body.get("background")),
        "completed_at": None,
        "content_filters": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": call.deployment_name,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {
            "effort": asked.get("effort") or ("medium" if reasoning else None),
            "summary": asked.get("summary"),
        },
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": 1.0 if body.get("temperature") is None else body["temperature"],
        "text": {"format": {"type": "text"}, "verbosity": "medium"} | checks.mapping(body, "text"),
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": checks.listing(body, "tools"),
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": 1.0 if body.get("top_p") is None else body["top_p"],
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }
