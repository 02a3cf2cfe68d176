"""Token estimates by Unicode class, where the upstream gave no count.

Characters per token of o200k_base differ by script: length/4 holds for English and is 3-4 times too low for
Chinese. The figures are rounded towards more tokens.
"""

from __future__ import annotations

import binascii
import math
from typing import IO, Any

from shared.usage.pictures import GPT_4O, Counted, Rule, image_tokens

_ASCII = 1 / 4
_LATIN = 1 / 3  # accented Latin, Greek, Cyrillic, Hebrew, Arabic: U+0080 to U+08FF
_INDIC = 1 / 2  # Devanagari to the end of the small scripts: U+0900 to U+1FFF
_WIDE = 0.9  # CJK, Hangul, Kana
_ASTRAL = 2.0  # emoji and rare scripts
BULK_CHARS_MIN = 100


def _all_but(first: int, end: int) -> bytes:
    return bytes(one for one in range(256) if not first <= one < end)


_NOT_ASCII = _all_but(0, 0x80)
_NOT_LATIN = _all_but(0xC2, 0xE0)  # U+0080 to U+07FF
_NOT_INDIC = _all_but(0xE0, 0xE2)  # U+0800 to U+1FFF, of which the first 256 are Arabic and its like
_NOT_ASTRAL = _all_but(0xF0, 0xF5)
_LATE_LATIN = tuple(bytes((0xE0, second)) for second in range(0xA0, 0xA4))

MESSAGE_TOKENS = 4
"""What a chat message costs beyond its text (OpenAI's token-counting guide: 3, and 1 for the name)."""
AUDIO_TOKENS_PER_S = 10
"""What a second of audio in a prompt counts (OpenAI's audio guide: a token for each 100 ms)."""
MP3_BYTES_PER_S = 16_000
"""Of 128 kbit/s, which audio without a header that tells is taken for."""


def text_weight(text: str) -> float:
    """Tokens in `text`, as a fraction that may be summed before it is rounded."""
    if text.isascii():
        return len(text) * _ASCII
    if len(text) < BULK_CHARS_MIN:
        return sum(_weight(ord(character)) for character in text)
    return _bulk_weight(text)


def tokens_of(text: str) -> int:
    """Tokens in `text`, rounded up."""
    return math.ceil(text_weight(text))


def chat_prompt_tokens(body: dict[str, Any], rule: Rule | Counted = GPT_4O) -> int:
    """Prompt tokens of a chat request: its messages, tools, and its images by the model's rule. Tolerates any JSON."""
    weight = 3.0
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        weight += MESSAGE_TOKENS + _strings_weight(message, rule)
    for field in ("tools", "functions", "response_format"):
        weight += _strings_weight(body.get(field), rule)
    return math.ceil(weight)


def response_prompt_tokens(body: dict[str, Any], rule: Rule | Counted = GPT_4O) -> int:
    """Prompt tokens of a Responses request: its input, instructions, tools and format. Tolerates any JSON."""
    items = body.get("input")
    weight = 3.0 + (MESSAGE_TOKENS * len(items) if isinstance(items, list) else MESSAGE_TOKENS)
    for field in ("input", "instructions", "tools", "text"):
        weight += _strings_weight(body.get(field), rule)
    return math.ceil(weight)


def response_output_tokens(payload: dict[str, Any]) -> int:
    """Output tokens of a whole response: its texts, refusals, arguments and code. Tolerates any JSON."""
    output = payload.get("output")
    weight = 0.0
    for item in output if isinstance(output, list) else ():
        if not isinstance(item, dict):
            continue
        content = item.get("content")
        for part in (item, *(content if isinstance(content, list) else ())):
            for name in ("text", "refusal", "arguments", "code", "input"):
                text = part.get(name) if isinstance(part, dict) else None
                weight += text_weight(text) if isinstance(text, str) else 0.0
    return math.ceil(weight)


def audio_seconds(file: IO[bytes], bytes_count: int) -> float:
    """Seconds of an audio file: from a WAV header, else as MP3 of 128 kbit/s. The file is left rewound."""
    import wave

    file.seek(0)
    try:
        with wave.open(file, "rb") as audio:
            return audio.getnframes() / (audio.getframerate() or 1)
    except (wave.Error, EOFError):
        return bytes_count / 16_000
    finally:
        file.seek(0)


def inputs_tokens(value: Any) -> int:
    """Tokens of a `prompt` or `input`: strings are estimated, integers are tokens already. Tolerates any JSON."""
    weight, left = 0.0, [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            weight += text_weight(one)
        elif isinstance(one, list):
            left.extend(one)
        elif isinstance(one, int):
            weight += 1
    return math.ceil(weight)


def chat_completion_tokens(payload: dict[str, Any]) -> int:
    """Completion tokens of a whole chat reply. Tolerates any JSON."""
    choices = payload.get("choices")
    weight = 0.0
    for choice in choices if isinstance(choices, list) else ():
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict):
            weight += message_weight(message)
    return math.ceil(weight)


def no_tokens(payload: dict[str, Any]) -> int:
    """Completion tokens of a reply in which nothing is to be estimated."""
    return 0


def message_weight(message: dict[str, Any]) -> float:
    """Tokens of what a model wrote: one message, or one streamed delta of it."""
    content = message.get("content")
    if len(message) == 1 and type(content) is str:
        return text_weight(content)
    weight = 0.0
    for name in ("content", "refusal", "reasoning_content"):
        text = message.get(name)
        if isinstance(text, str):
            weight += text_weight(text)
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            weight += sum(text_weight(text) for text in function.values() if isinstance(text, str))
    return weight


def _strings_weight(value: Any, rule: Rule | Counted) -> float:
    """Tokens of every string in a JSON value; an image counts by the rule, audio by its length."""
    weight = 0.0
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            weight += text_weight(one)
        elif isinstance(one, list):
            left.extend(one)
        elif isinstance(one, dict):
            if one.get("type") in ("image_url", "input_image"):
                weight += image_tokens(one, rule)
            elif one.get("type") == "input_audio":
                weight += _audio_weight(one.get("input_audio"))
            else:
                weight += len(one)
                left.extend(one.values())
        elif one is not None:
            weight += 1
    return weight


def _audio_weight(audio: Any) -> float:
    """Tokens of audio in base64, by the seconds that a WAV header tells, else as MP3."""
    data = audio.get("data") if isinstance(audio, dict) else None
    if not isinstance(data, str):
        return 0.0
    bytes_per_s = MP3_BYTES_PER_S
    try:
        head = binascii.a2b_base64(data[:64])
        if head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt ":
            bytes_per_s = int.from_bytes(head[28:32], "little") or MP3_BYTES_PER_S
    except ValueError:  # it is not base64, or not ASCII: Azure will say so
        pass
    return len(data) * 0.75 / bytes_per_s * AUDIO_TOKENS_PER_S


def _weight(codepoint: int) -> float:
    if codepoint < 0x80:
        return _ASCII
    if codepoint < 0x900:
        return _LATIN
    if codepoint < 0x2000:
        return _INDIC
    return _WIDE if codepoint < 0x10000 else _ASTRAL


def _bulk_weight(text: str) -> float:
    """The same for a long text: the first byte of a character tells its class, and bytes are counted much faster."""
    raw = text.encode("utf-8", "surrogatepass")
    ascii = len(raw.translate(None, _NOT_ASCII))
    latin = len(raw.translate(None, _NOT_LATIN))
    indic = len(raw.translate(None, _NOT_INDIC))
    astral = len(raw.translate(None, _NOT_ASTRAL))
    wide = len(text) - ascii - latin - indic - astral
    if 0xE0 in raw:
        late = sum(raw.count(lead) for lead in _LATE_LATIN)
        latin, indic = latin + late, indic - late
    return ascii * _ASCII + latin * _LATIN + indic * _INDIC + wide * _WIDE + astral * _ASTRAL
