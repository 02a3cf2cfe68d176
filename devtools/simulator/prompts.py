"""Reads chat messages: their text, their images, and how many tokens they are.

The tokeniser is a rule: four ASCII characters are one token, every other character is one; three tokens frame each
message and three the answer, as OpenAI's cookbook counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devtools.simulator import errors
from devtools.simulator.models import Model

MESSAGE_TOKENS = 3
REPLY_TOKENS = 3
TILES_HIGH_DETAIL = 4
"""An image's size is not looked at: high and auto detail count four tiles, a 1024 x 1024 image."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as the simulator sees it; `last` is the text of the last user message."""

    text: str
    last: str
    tokens: int
    answers_tools: bool


def text_tokens(text: str) -> int:
    """Tokens of a text."""
    if text.isascii():
        return (len(text) + 3) // 4
    ascii_characters = len(text.encode("ascii", "ignore"))
    return (ascii_characters + 3) // 4 + len(text) - ascii_characters


def read(messages: list[dict[str, Any]], model: Model) -> Prompt:
    """Reads messages; raises AzureError 400 for one that is malformed or that the model cannot take."""
    texts: list[str] = []
    last = ""
    tokens = REPLY_TOKENS
    calls: set[str] = set()
    for index, message in enumerate(messages):
        text, image_tokens = _content(message, index, model)
        role = message["role"]
        if role == "tool" and message.get("tool_call_id") not in calls:
            raise errors.invalid_request(
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                "'tool_calls'.",
                f"messages.[{index}].role",
            )
        for call in message.get("tool_calls") or ():
            calls.add(call.get("id", ""))
            tokens += text_tokens(str(call.get("function", {}).get("arguments", ""))) + MESSAGE_TOKENS
        if role == "user":
            last = text
        texts.append(text)
        tokens += MESSAGE_TOKENS + image_tokens
    joined = "\n".join(texts)
    answers_tools = messages[-1]["role"] in ("tool", "function")
    return Prompt(joined, last, tokens + text_tokens(joined), answers_tools)


ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def _content(message: object, index: int, model: Model) -> tuple[str, int]:
    """Text and image tokens of one message."""
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        found = message.get("role") if isinstance(message, dict) else message
        raise errors.invalid_request(
            f"Invalid value: '{found}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
            "'developer'.",
            f"messages[{index}].role",
            "invalid_value",
        )
    content = message.get("content")
    if isinstance(content, str):
        return content, 0
    if content is None:
        if message["role"] != "assistant":
            raise errors.invalid_request(
                f"Invalid value for 'content': expected a string, got null. (messages.[{index}].content)",
                f"messages.[{index}].content",
            )
        return "", 0
    if not isinstance(content, list):
        raise errors.invalid_request(
            "Invalid type for 'messages': expected a string or an array of content parts.",
            f"messages[{index}].content",
            "invalid_type",
        )
    return _parts(content, index, model)


def _parts(content: list[Any], index: int, model: Model) -> tuple[str, int]:
    texts: list[str] = []
    tokens = 0
    for position, part in enumerate(content):
        where = f"messages.[{index}].content.[{position}].type"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "refusal"):
            texts.append(str(part.get(kind, "")))
        elif kind == "image_url":
            if not model.vision:
                raise errors.invalid_request(
                    "Invalid content type. image_url is only supported by certain models.", where
                )
            tokens += _image_tokens(part.get("image_url"), model)
        else:
            raise errors.invalid_request(f"Invalid value: '{kind}'. Supported values are: 'text' and 'image_url'.",
                                         where, "invalid_value")  # fmt: skip
    return "\n".join(texts), tokens


def _image_tokens(image: object, model: Model) -> int:
    detail = image.get("detail", "auto") if isinstance(image, dict) else "auto"
    tiles = 0 if detail == "low" else TILES_HIGH_DETAIL
    return model.image_tokens_base + tiles * model.image_tokens_tile
