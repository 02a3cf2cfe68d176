"""The words of a recording, a function of the seed and its bytes, and the shapes in which they are shown."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Any

from devtools.simulator import errors
from devtools.simulator.answers import CHUNKS_MAX, ENGLISH
from devtools.simulator.transcription_rules import Asked

WORDS_PER_S = 2.5
SEGMENT_WORDS = 8
LANGUAGES = {"en": "english", "de": "german", "fr": "french", "es": "spanish", "it": "italian", "ja": "japanese"}


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of words, from `start` to `end` in seconds."""

    index: int
    start: float
    end: float
    text: str


def words(seed: int, asked: Asked, count: int | None) -> list[str]:
    """So many words, or as many as one says in the recording's time."""
    if count is None:
        count = max(1, int(asked.duration_s * WORDS_PER_S))
    if count > CHUNKS_MAX:
        raise errors.invalid_request("Simulator: the directive asks for too long a transcript.", "prompt")
    digest = hashlib.blake2b(asked.data, key=str(seed).encode(), digest_size=8).digest()
    return random.Random(digest).choices(ENGLISH, k=count)


def segments(said: list[str], duration_s: float) -> list[Segment]:
    """The words in stretches of SEGMENT_WORDS, evenly over the time."""
    word_s = duration_s / max(1, len(said))
    return [
        Segment(index, round(at * word_s, 3), round(min(at + SEGMENT_WORDS, len(said)) * word_s, 3),
                " ".join(said[at : at + SEGMENT_WORDS]))
        for index, at in enumerate(range(0, len(said), SEGMENT_WORDS))
    ]  # fmt: skip


def _clock(seconds: float, comma: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}{comma}{milliseconds % 1000:03d}"


def srt(parts: list[Segment]) -> str:
    return "".join(
        f"{part.index + 1}\n{_clock(part.start, ',')} --> {_clock(part.end, ',')}\n{part.text}\n\n" for part in parts
    )


def vtt(parts: list[Segment]) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{_clock(part.start, '.')} --> {_clock(part.end, '.')}\n{part.text}\n\n" for part in parts
    )


def verbose(asked: Asked, task: str, said: list[str], parts: list[Segment]) -> dict[str, Any]:
    """`verbose_json`; words only when they are asked for, segments unless only words are."""
    language = "en" if task == "translate" else asked.language
    body: dict[str, Any] = {
        "task": task,
        "language": LANGUAGES.get(language, language),
        "duration": asked.duration_s,
        "text": " ".join(said),
    }
    if asked.granularities != {"word"}:
        body["segments"] = [
            {"id": part.index, "seek": 0, "start": part.start, "end": part.end, "text": part.text,
             "tokens": list(range(len(part.text.split()))), "temperature": 0.0, "avg_logprob": -0.25,
             "compression_ratio": 1.0, "no_speech_prob": 0.01}
            for part in parts
        ]  # fmt: skip
    if "word" in asked.granularities:
        word_s = asked.duration_s / len(said)
        body["words"] = [
            {"word": word, "start": round(at * word_s, 3), "end": round((at + 1) * word_s, 3)}
            for at, word in enumerate(said)
        ]
    return body


def diarized(part: Segment) -> dict[str, Any]:
    """A segment of `diarized_json`, and the event of a stream: two speakers take turns."""
    return {
        "type": "transcript.text.segment", "id": f"seg_{part.index:03d}", "start": part.start, "end": part.end,
        "text": part.text, "speaker": "AB"[part.index % 2],
    }  # fmt: skip
