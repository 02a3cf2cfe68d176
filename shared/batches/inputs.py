"""A shard's input: as much of a range of the caller's file as its deployment takes, written for that deployment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import IO

from shared.batches.document import Shard
from shared.batches.lines import LINE_BYTES_MAX, BadLine, LineTooLong, lines_of, written_for
from shared.batches.placing import BYTES_PER_TOKEN
from shared.batches.store import Picked

LINES_MAX = 100_000
BYTES_MAX = 200_000_000
"""What Azure takes in one file (its batch page)."""
HALVED_MAX = 3
"""How often an upload is made half as long: a batch has a limited number of shards."""
BREATH_LINES = 500
"""After so many lines others get their turn."""


class BadInput(Exception):
    """The input cannot be sent; `errors` as a batch tells them."""

    def __init__(self, code: str, message: str, param: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.errors = [{"code": code, "message": message, "param": param, "line": line}]


@dataclass(slots=True)
class Written:
    """What was written: the custom_id, the line and the tokens of each request, and `bytes_count` in all. The next
    line, if there is one, is the input's `next_line`th and begins at byte `end`."""

    next_line: int
    end: int
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    bytes_count: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be written; `tokens` None: no limit. Where `split` is not allowed, what is more is a BadInput."""

    tokens: int | None = None
    split: bool = False
    lines: int = LINES_MAX
    bytes_count: int = BYTES_MAX

    def after(self, cut: int) -> Limits:
        """These limits for a shard of which so many uploads did not come to their end: where it may be split, each next
        one is half as long, so that some upload is short enough for the life of its worker."""
        halved = min(cut, HALVED_MAX) if self.split else 0
        return replace(self, lines=self.lines >> halved, bytes_count=self.bytes_count >> halved)


async def write(
    file: IO[bytes],
    chunks: AsyncIterator[bytes],
    shard: Shard,
    picked: Picked | None,
    deployment: str,
    kind: str,
    limits: Limits,
) -> Written:
    """Writes requests of the shard's range, whose bytes are `chunks`, into `file`. Raises BadInput, or what reading
    raises."""
    written = Written(shard.first, shard.start)
    number = shard.first
    try:
        async for line, at in lines_of(chunks, LINE_BYTES_MAX):
            if line.isspace() or not line:
                written.end = shard.start + at
                continue
            if picked is None or picked.has(number):
                asked, data = written_for(line, deployment, kind)
                if written.asked and _over(len(written.asked) + 1, written.bytes_count + len(data), limits):
                    return written
                file.write(data)
                written.asked.append((asked.custom_id, number, asked.tokens))
                written.bytes_count += len(data)
            number += 1
            written.next_line, written.end = number, shard.start + at
            if number % BREATH_LINES == 0:
                await asyncio.sleep(0)
    except BadLine as bad:
        raise BadInput(bad.code, bad.message, bad.param, number + 1) from bad
    except LineTooLong as long:
        message = f"This line is longer than {LINE_BYTES_MAX:,} bytes."
        raise BadInput("invalid_request", message, None, number + 1) from long
    return written


def _over(lines: int, bytes_count: int, limits: Limits) -> bool:
    """Whether so much is too much for one upload. Raises BadInput where it must be one."""
    if lines > limits.lines or bytes_count > limits.bytes_count:
        if not limits.split:
            raise BadInput(
                "too_many_tasks",
                f"Azure takes {limits.lines:,} requests and {limits.bytes_count:,} bytes in one batch. Set "
                "enable_loadbalancing_on_batch_endpoints: true to have larger ones split.",
            )
        return True
    return limits.tokens is not None and bytes_count > limits.tokens * BYTES_PER_TOKEN
