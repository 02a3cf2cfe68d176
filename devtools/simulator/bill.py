"""The simulator's own bill: what Azure would charge, one line per billable attempt.

Billable: a buffered answer, once generated, whether the client is still there or not; a stream, for what was
generated until its client left; a filtered prompt (400), for its prompt. Not billable: every other error.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

LINES_MAX = 1_000_000
TOTALS_BY = ("resource", "deployment", "model", "operation", "batch", "price_factor", "status")
TOTALS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "training_tokens")


@dataclass(slots=True)
class Line:
    """One attempt. `time` is unix seconds; `finished` says that generation ran to its end.

    `prompt_tokens` and `completion_tokens` are all input and output tokens of any operation (a Responses call's
    `input_tokens` and `output_tokens` too); `cached_tokens`, `input_audio_tokens` and `input_image_tokens` are parts of
    the former, `reasoning_tokens`, `output_audio_tokens` and `output_image_tokens` of the latter. What Azure charges
    by another unit has that: `characters` (speech of tts and tts-hd), `seconds` (whisper), `images` with their
    `image_size` and `quality` (those of gpt-image models too, which are charged by their tokens). Each line of a batch
    that ran is one, with `batch` and `custom_id`; all is charged at `price_factor` of the list price, 0.5 for batches.
    A fine-tuning job that ended is one, with `job` and its `training_tokens`.
    """

    seq: int
    time: float
    resource: str
    deployment: str
    model: str
    operation: str
    api_version: str
    surface: str
    stream: bool
    status: int
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    characters: int = 0
    seconds: float = 0.0
    training_tokens: int = 0
    images: int = 0
    image_size: str = ""
    quality: str = ""
    finished: bool = False
    client_request_id: str | None = None
    batch: str = ""
    custom_id: str = ""
    price_factor: float = 1.0
    job: str = ""


class Bill:
    """The lines of the last LINES_MAX attempts; `seq` never starts again."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=LINES_MAX)
        self._seq = 0

    def open(self, **values: Any) -> Line:
        """A new line with the fields of Line, except `seq`; it may be changed while its stream runs."""
        self._seq += 1
        line = Line(seq=self._seq, **values)
        self._lines.append(line)
        return line

    def clear(self) -> None:
        self._lines.clear()

    def to_json(self, batch: str | None = None) -> dict[str, Any]:
        """`{"lines": [Line], "count", "prompt_tokens", "cached_tokens", "completion_tokens"}`; `batch`: of one."""
        lines = [line for line in self._lines if batch is None or line.batch == batch]
        return {
            "lines": lines,
            "count": len(lines),
            "prompt_tokens": sum(line.prompt_tokens for line in lines),
            "cached_tokens": sum(line.cached_tokens for line in lines),
            "completion_tokens": sum(line.completion_tokens for line in lines),
        }

    def totals(self) -> list[dict[str, Any]]:
        """Counts and tokens by the fields of TOTALS_BY: what is left of many lines."""
        groups: dict[tuple[Any, ...], dict[str, Any]] = {}
        for line in self._lines:
            key = tuple(getattr(line, name) for name in TOTALS_BY)
            group = groups.setdefault(
                key, dict(zip(TOTALS_BY, key, strict=True)) | dict.fromkeys(("count", *TOTALS), 0)
            )
            group["count"] += 1
            for name in TOTALS:
                group[name] += getattr(line, name)
        return list(groups.values())
