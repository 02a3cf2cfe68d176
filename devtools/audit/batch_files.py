"""The files of a batch's audit: requests that are written, and results that are counted, request by request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

MODEL = "chat"
WRONG_EVERY = 250
"""Of so many requests one asks for more tokens than the model has: Azure answers 400, and bills nothing."""
WORDS = tuple("the water of the lake runs over the spillway when the gates are shut and it rains".split())  # noqa: SIM905
_WRONG = {"max_tokens": 1_000_000}


def write(path: Path, batch: int, lines: int) -> None:
    """The requests of the audit's n-th batch."""
    with path.open("wb") as file:
        for start in range(0, lines, 1000):
            file.write(b"".join(_line(batch, number) for number in range(start, min(start + 1000, lines))))


def is_wrong(number: int) -> bool:
    """Whether this request is one that Azure refuses."""
    return number % WRONG_EVERY == WRONG_EVERY // 2


def custom_id(batch: int, number: int) -> str:
    return f"batch-{batch}-line-{number}"


def number_of(custom_id: str) -> int:
    """Which request it is, whatever the batch."""
    return int(custom_id.rpartition("-")[2])


def _line(batch: int, number: int) -> bytes:
    text = " ".join(WORDS[: 1 + number % len(WORDS)])
    body = {"model": MODEL, "messages": [{"role": "user", "content": f"{number} {text}"}]}
    request: dict[str, Any] = {"custom_id": custom_id(batch, number), "method": "POST", "url": "/v1/chat/completions"}
    return orjson.dumps(request | {"body": body | _WRONG if is_wrong(number) else body}) + b"\n"


@dataclass(slots=True)
class Results:
    """The results of one batch: `answers` and `errors` count lines of the two files, `tokens` are a request's own.
    `wrong` says in words what must not be."""

    batch: int
    lines: int
    answers: int = 0
    errors: int = 0
    duplicates: int = 0
    tokens: dict[int, tuple[int, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    @property
    def missing(self) -> int:
        return self.lines - len(self._seen)

    def take(self, lines: Iterable[bytes], *, errors: bool) -> None:
        """Lines of the output file, or of the error file."""
        for raw in lines:
            told = orjson.loads(raw)
            number = number_of(told["custom_id"])
            if told["custom_id"] != custom_id(self.batch, number) or not 0 <= number < self.lines:
                self.wrong.append(f"{told['custom_id']}: nobody asked for it")
            if told["custom_id"] in self._seen:
                self.duplicates += 1
            self._seen.add(told["custom_id"])
            self._check(number, told, errors=errors)

    def _check(self, number: int, told: dict[str, Any], *, errors: bool) -> None:
        status = (told["response"] or {}).get("status_code")
        body = (told["response"] or {}).get("body") or {}
        if errors:
            self.errors += 1
            if status == 200 or (is_wrong(number) and status != 400):
                self.wrong.append(f"{told['custom_id']}: {status} in the file of errors")
            return
        self.answers += 1
        if status != 200 or is_wrong(number) or body["model"] != MODEL:
            self.wrong.append(f"{told['custom_id']}: {status} of {body.get('model')} in the file of answers")
            return
        self.tokens[number] = body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]
