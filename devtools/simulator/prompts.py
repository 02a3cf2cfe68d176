"""Reads chat messages: their text, their images, and how many tokens they are.

The tokeniser is a rule: four ASCII characters are one token, every other character is one; three tokens frame each
message and three the answer, as OpenAI's cookbook counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devtools.simulator import errors, sound
from devtools.simulator.models import Model

MESSAGE_TOKENS = 3
REPLY_TOKENS = 3
AUDIO_FORMATS = ("wav", "mp3")
AUDIO_BYTES_MAX = 20 * 1024 * 1024
TILES_HIGH_DETAIL = 4
FILE_TOKENS = 256
"""What a file counts that is named by its id."""
"""An image's size is not looked at: high and auto detail count four tiles, a 1024 x 1024 image."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation as the simulator sees it; `last` is the text of the last user message.

    `tokens` are all of them, `audio_tokens` those of recordings.
    """

    text: str
    last: str
    tokens: int
    answers_tools: bool
    audio_tokens: int = 0


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
    tokens, audio_tokens = REPLY_TOKENS, 0
    calls: set[str] = set()
    for index, message in enumerate(messages):
        text, image_tokens, heard = _content(message, index, model)
        audio_tokens += heard
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
    return Prompt(joined, last, tokens + text_tokens(joined) + audio_tokens, answers_tools, audio_tokens)


ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def _content(message: object, index: int, model: Model) -> tuple[str, int, int]:
    """Text, image tokens and audio tokens of one message."""
    if not isinstance(message, dict) or str(message.get("role")) not in ROLES:
        found = message.get("role") if isinstance(message, dict) else message
        raise errors.invalid_request(
            f"Invalid value: '{found}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
            "'developer'.",
            f"messages[{index}].role",
            "invalid_value",
        )
    content = message.get("content")
    if isinstance(content, str):
        return content, 0, 0
    if content is None:
        if message["role"] != "assistant":
            raise errors.invalid_request(
                f"Invalid value for 'content': expected a string, got null. (messages.[{index}].content)",
                f"messages.[{index}].content",
            )
        return "", 0, 0
    if not isinstance(content, list):
        raise errors.invalid_request(
            "Invalid type for 'messages': expected a string or an array of content parts.",
            f"messages[{index}].content",
            "invalid_type",
        )
    return _parts(content, index, model)


def _parts(content: list[Any], index: int, model: Model) -> tuple[str, int, int]:
    texts: list[str] = []
    tokens = heard = 0
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
        elif kind == "file":
            tokens += FILE_TOKENS
        elif kind == "input_audio" and model.audio:
            heard += _heard_tokens(part.get("input_audio"), where)
        else:
            raise errors.invalid_request(f"Invalid value: '{kind}'. Supported values are: 'text' and 'image_url'.",
                                         where, "invalid_value")  # fmt: skip
    return "\n".join(texts), tokens, heard


def _heard_tokens(audio: object, where: str) -> int:
    """The tokens of a recording in base64; raises AzureError 400 when it is none."""
    given = audio if isinstance(audio, dict) else {}
    if given.get("format") not in AUDIO_FORMATS:
        raise errors.invalid_value(given.get("format"), AUDIO_FORMATS, where.replace(".type", ".input_audio.format"))
    try:
        data = sound.of_base64(str(given.get("data")))
    except ValueError:
        data = b""
    if not 0 < len(data) <= AUDIO_BYTES_MAX:
        raise errors.invalid_request(
            "The data provided for 'input_audio' is not valid base64 of 20 MB at most.",
            where.replace(".type", ".input_audio.data"),
            "invalid_value",
        )
    return sound.heard_tokens(sound.duration_s(data))


def _image_tokens(image: object, model: Model) -> int:
    detail = image.get("detail", "auto") if isinstance(image, dict) else "auto"
    tiles = 0 if detail == "low" else TILES_HIGH_DETAIL
    return model.image_tokens_base + tiles * model.image_tokens_tile
