"""The simulator's own bill: what Azure would charge, one line per billable attempt.

Billable: a buffered answer, once generated, whether the client is still there or not; a stream, for what was
generated until its client left; a filtered prompt (400), for its prompt. Not billable: every other error.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

LINES_MAX = 1_000_000


@dataclass(slots=True)
class Line:
    """One attempt. `time` is unix seconds; `finished` says that generation ran to its end.

    `prompt_tokens` and `completion_tokens` are all input and output tokens of any operation (a Responses call's
    `input_tokens` and `output_tokens` too); `cached_tokens`, `input_audio_tokens` and `input_image_tokens` are parts of
    the former, `reasoning_tokens`, `output_audio_tokens` and `output_image_tokens` of the latter. What Azure charges
    by another unit has that: `characters` (speech of tts and tts-hd), `seconds` (whisper), `images` with their
    `image_size` and `quality` (those of gpt-image models too, which are charged by their tokens).
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
    images: int = 0
    image_size: str = ""
    quality: str = ""
    finished: bool = False
    client_request_id: str | None = None


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

    def to_json(self) -> dict[str, Any]:
        """`{"lines": [...], "count", "prompt_tokens", "cached_tokens", "completion_tokens"}`."""
        return {
            "lines": [asdict(line) for line in self._lines],
            "count": len(self._lines),
            "prompt_tokens": sum(line.prompt_tokens for line in self._lines),
            "cached_tokens": sum(line.cached_tokens for line in self._lines),
            "completion_tokens": sum(line.completion_tokens for line in self._lines),
        }
