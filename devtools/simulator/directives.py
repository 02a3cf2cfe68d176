"""What a test may ask of the model, in a line of the last user message or input: `[[sim chunks=200 delay_ms=5]]`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from devtools.simulator import errors

_LINE = re.compile(r"\[\[sim\s+([^\]]*)\]\]")


@dataclass(frozen=True, slots=True)
class Directives:
    """The words of a directive line.

    `chunks`: how many deltas the answer has (default: by the prompt, 12 to 60). `chunk_bytes`: the size of each
    delta's text (default: one word, one token). `delay_ms` between chunks, `first_ms` before the first byte; a
    buffered answer takes as long as its stream would. `lang`: `en`, `zh` (three bytes a character) or `odd` (emoji,
    quotes, line separators, things that look like SSE). `reasoning`: reasoning tokens. `filter` or `filter=prompt`
    filters the prompt, `filter=output` the answer. `queued_ms` and `run_ms`: how long a background response is queued
    and runs (default 1,000 and 4,000, in a stream 0 and the stream's pace), by the simulator's clock. `bytes`: the
    size of speech or of an image.
    """

    chunks: int | None = None
    chunk_bytes: int | None = None
    delay_ms: float | None = None
    first_ms: float | None = None
    lang: str = "en"
    reasoning: int | None = None
    filter: str = ""
    queued_ms: float | None = None
    run_ms: float | None = None
    bytes: int | None = None


NONE = Directives()
_NAMES = frozenset(field.name for field in fields(Directives))
_NUMBERS = _NAMES - {"lang", "filter"}
_CHOICES = {"lang": ("en", "zh", "odd"), "filter": ("prompt", "output")}


def parse(text: str, param: str = "messages") -> Directives:
    """The directives in the text of a request's field `param`; raises AzureError 400 for one not understood."""
    if "[[sim" not in text:
        return NONE
    values: dict[str, Any] = {}
    for words in _LINE.findall(text):
        for word in words.split():
            name, _, value = word.partition("=")
            values[name] = _value(name, value, param)
    return Directives(**values)


def _value(name: str, value: str, param: str) -> object:
    if name == "filter" and not value:
        return "prompt"
    if name in _NUMBERS and re.fullmatch(r"\d{1,7}", value):
        return int(value)
    if value in _CHOICES.get(name, ()):
        return value
    raise errors.invalid_request(f"Simulator: the directive {name}={value} is not understood.", param)
