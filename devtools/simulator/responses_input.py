"""Reads the input of a Responses call: its items, those before it, and what they come to as a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from devtools.simulator import errors, responses_errors, sealing
from devtools.simulator.exchange import Call
from devtools.simulator.models import Model
from devtools.simulator.prompts import MESSAGE_TOKENS, REPLY_TOKENS, TILES_HIGH_DETAIL, Prompt, text_tokens
from devtools.simulator.responses_store import Item, Store

ID_PREFIXES = {
    "message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fc",
    "custom_tool_call": "ctc", "custom_tool_call_output": "ctco", "code_interpreter_call": "ci",
    "web_search_call": "ws", "file_search_call": "fs", "image_generation_call": "ig", "computer_call": "cu",
    "computer_call_output": "cuo", "mcp_call": "mcp", "mcp_list_tools": "mcpl", "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa", "local_shell_call": "lsh", "local_shell_call_output": "lsho",
    "compaction": "cmp",
}  # fmt: skip
"""Kinds of items, and how their ids begin."""
ROLES = ("assistant", "system", "developer", "user")
PARTS = ("input_text", "output_text", "refusal", "input_image", "input_file")
FILE_TOKENS = 256
"""What a file counts whose content is not in the request."""
ID_DIGITS = 48


@dataclass(frozen=True, slots=True)
class Conversation:
    """Every item that the model reads, in order, and their text and tokens."""

    items: list[Item]
    prompt: Prompt


def read(call: Call, store: Store, model: Model) -> Conversation:
    """The conversation of a request; raises AzureError 400 for what is malformed or not at this resource."""
    body = call.body
    items = _previous(call, store, body.get("previous_response_id"))
    given = body.get("input")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, (list, type(None))):
        raise errors.invalid_request(
            "Invalid type for 'input': expected one of a string or an array of objects.", "input", "invalid_type"
        )
    items += [_item(call, store, item, index) for index, item in enumerate(given or ())]
    _check_calls(items)
    texts, tokens, last = [str(body.get("instructions") or "")], REPLY_TOKENS, ""
    for item in items:
        text, extra = _content(item, model)
        texts.append(text)
        tokens += MESSAGE_TOKENS + extra
        if item.get("role") == "user":
            last = text
    joined = "\n".join(texts)
    answers_tools = bool(items) and str(items[-1]["type"]).endswith("_output")
    return Conversation(items, Prompt(joined, last, tokens + text_tokens(joined), answers_tools))


def _previous(call: Call, store: Store, response_id: object) -> list[Item]:
    """What the previous response had read and written; it must be at this resource, and at its end."""
    if response_id is None:
        return []
    stored = store.get(call.resource.name, str(response_id), call.world.time())
    if stored is None or stored.status(call.world.now()) in ("queued", "in_progress", "cancelled"):
        raise responses_errors.previous_not_found(str(response_id))
    return [*stored.context, *stored.response["output"]]


def _item(call: Call, store: Store, given: object, index: int) -> Item:
    """One item with its id; a reference becomes what it refers to."""
    if not isinstance(given, dict):
        raise errors.invalid_request(
            f"Invalid type for 'input[{index}]': expected an object.", f"input[{index}]", "invalid_type"
        )
    known = store.shelf(call.resource.name).items
    kind = given.get("type") or ("message" if "role" in given else "item_reference")
    item_id = given.get("id")
    if kind == "item_reference":
        if str(item_id) not in known:
            raise responses_errors.item_not_found(str(item_id))
        return known[str(item_id)]
    if not isinstance(kind, str) or kind not in ID_PREFIXES:
        raise errors.invalid_value(kind, (*ID_PREFIXES, "item_reference"), f"input[{index}]")
    prefix = ID_PREFIXES[kind]
    if item_id is not None and not str(item_id).startswith(prefix):
        raise errors.invalid_request(
            f"Invalid 'input[{index}].id': '{item_id}'. Expected an ID that begins with '{prefix}'.",
            f"input[{index}].id",
            "invalid_value",
        )
    sealed = given.get("encrypted_content")
    if sealed is not None and not sealing.is_sealed(call.world.seed, call.resource.name, str(sealed)):
        raise responses_errors.invalid_encrypted_content(str(sealed))
    if kind == "reasoning" and sealed is None and str(item_id) not in known:
        raise responses_errors.item_not_found(str(item_id))
    item = {**given, "type": kind, "id": item_id or call.world.hex_id(f"{prefix}_", ID_DIGITS)}
    if kind == "message":
        item["content"] = _parts(item, index)
        item.setdefault("status", "completed")
    return item


def _parts(item: Item, index: int) -> list[Any]:
    """The content of a message as a list of parts."""
    where = f"input[{index}]"
    if item.get("role") not in ROLES:
        raise errors.invalid_value(item.get("role"), ROLES, f"{where}.role")
    content = item.get("content")
    if isinstance(content, str):
        return [{"type": "output_text" if item["role"] == "assistant" else "input_text", "text": content}]
    if not isinstance(content, list):
        raise errors.missing_parameter(f"{where}.content")
    for position, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in PARTS:
            raise errors.invalid_value(kind, PARTS, f"{where}.content[{position}]")
    return content


def _check_calls(items: list[Item]) -> None:
    """Every output answers a call before it, and every call of a function has its output."""
    open_calls: dict[str, None] = {}
    seen: set[str] = set()
    for item in items:
        call_id = str(item.get("call_id"))
        if item["type"] == "function_call":
            open_calls[call_id] = None
            seen.add(call_id)
        elif item["type"] == "function_call_output":
            if call_id not in seen:
                raise responses_errors.no_such_call(call_id)
            open_calls.pop(call_id, None)
    for call_id in open_calls:
        raise responses_errors.no_output_for(call_id)


def _content(item: Item, model: Model) -> tuple[str, int]:
    """The text of an item, and the tokens of what is not text in it."""
    if item["type"] == "message":
        texts, tokens = [], 0
        for part in item["content"]:
            if part["type"] == "input_image":
                tokens += _image_tokens(part, model)
            elif part["type"] == "input_file":
                tokens += len(str(part.get("file_data") or "")) // 4 or FILE_TOKENS
            else:
                texts.append(str(part.get("text") or part.get("refusal") or ""))
        return "\n".join(texts), tokens
    if item["type"] == "function_call_output":
        output = item.get("output")
        return (output if isinstance(output, str) else orjson.dumps(output).decode()), 0
    return str(item.get("arguments") or item.get("code") or item.get("input") or ""), 0


def _image_tokens(part: dict[str, Any], model: Model) -> int:
    if not model.vision:
        raise errors.invalid_request("Invalid content type. input_image is only supported by certain models.", "input")
    tiles = 0 if part.get("detail") == "low" else TILES_HIGH_DETAIL
    return model.image_tokens_base + tiles * model.image_tokens_tile
