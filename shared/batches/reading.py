"""Results of a shard, piece by piece: each gives bytes for the files of results, entries for the ledger, and the shard
as it is then. Pure: the same shard and the same piece give the same, whoever reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from shared.batches.document import Batch, Mark, Shard
from shared.batches.lines import Asked, kind_of
from shared.batches.machine import NO_RESULT
from shared.batches.results import EXPIRED, Ids, Result, result_of, told, without
from shared.batches.store import Picked
from shared.spend.entry import Entry, Status, usage_fields
from shared.spend.pricing import Charge
from shared.usage.usage import Usage

TOKENS = ("prompt", "completion", "cached", "reasoning")
Charged = Callable[[Usage], Charge]
"""What a line of a batch costs at the shard's deployment."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of a shard: each with its line, and where each custom_id is among them."""

    lines: Sequence[tuple[int, Asked]]
    places: dict[str, int]

    @classmethod
    def of(cls, lines: Sequence[tuple[int, Asked]]) -> Requests:
        return cls(lines, {asked.custom_id: place for place, (_, asked) in enumerate(lines)})


@dataclass(slots=True)
class Piece:
    """What a piece of results comes to; `shard` is the shard when all of it is kept."""

    shard: Shard
    output: bytes = b""
    error: bytes = b""
    entries: list[Entry] = field(default_factory=list)


class Results:
    """A piece of a file of results while it is read, line by line."""

    def __init__(self, reader: Reader, shard: Shard) -> None:
        self._reader = reader
        self._piece = Piece(shard)
        self._seen, self._again = bytearray(shard.mark.seen), bytearray(shard.mark.again)
        self._outputs: list[tuple[int, bytes]] = []
        self._errors: list[tuple[int, bytes]] = []
        self._expired = 0
        batch = reader.batch
        self._kind = kind_of(batch.endpoint) or ""
        self._resubmits = shard.round < batch.rounds and not batch.stopping and not shard.stray

    def take(self, raw: bytes) -> None:
        """The next line. One that stands there twice, or belongs to nobody, is passed over; what is resubmitted is not
        told yet."""
        result = result_of(raw, self._kind)
        place = None if result is None else self._reader.requests.places.get(result.custom_id)
        if result is None or place is None or has(self._seen, place):
            return
        put(self._seen, place)
        shard, batch = self._piece.shard, self._reader.batch
        number, asked = self._reader.requests.lines[place]
        entry = self._reader.entry(shard, number, asked, result)
        if entry is not None:
            self._piece.entries.append(entry)
        if self._resubmits and result.passing:
            put(self._again, place)
        elif not shard.stray:
            self._expired += result.expired
            into = self._outputs if result.completed else self._errors
            into.append((number, told(result, batch.id, number, batch.model, self._reader.ids)))

    def end(self, at: int) -> Piece:
        """The piece, with which the file is read up to `at`."""
        mark = replace(self._piece.shard.mark, at=at, seen=bytes(self._seen), again=bytes(self._again))
        return finished(self._piece, mark, self._outputs, self._errors, self._expired)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the results of one shard: `ids` seal what its resource made, `base_model` is that of its deployment."""

    batch: Batch
    requests: Requests
    charged: Charged
    ids: Ids
    base_model: str = ""

    def rest(self, shard: Shard, asked: Iterable[tuple[int, Asked]], at: int, line: int) -> Piece:
        """Requests that have no result, told so; with them the rest is read up to `at` and `line`. One that Azure may
        have billed without telling is entered with its estimate."""
        errors: list[tuple[int, bytes]] = []
        piece = Piece(shard)
        billed = shard.code == NO_RESULT and bool(shard.job)
        for number, one in asked:
            if billed:
                piece.entries.append(self._estimated(shard, number, one, "unknown"))
            if not shard.stray:
                told_so = without(one.custom_id, self.batch.id, number, shard.code, shard.message)
                errors.append((number, told_so))
        mark = replace(shard.mark, at=at, line=line)
        return finished(piece, mark, [], errors, len(errors) if shard.code == EXPIRED else 0)

    def unseen(self, shard: Shard, start: int, count: int) -> list[tuple[int, Asked]]:
        """Those of the requests `start` to `start + count` that have no result yet."""
        seen = shard.mark.seen
        places = range(start, min(start + count, len(self.requests.lines)))
        return [self.requests.lines[place] for place in places if not has(seen, place)]

    def picked(self, shard: Shard) -> Picked | None:
        """The lines that are to be resubmitted, None for none."""
        again = shard.mark.again
        if not any(again):
            return None
        numbers = [number for place, (number, _) in enumerate(self.requests.lines) if has(again, place)]
        bits = bytearray((max(numbers) - shard.first) // 8 + 1)
        for number in numbers:
            put(bits, number - shard.first)
        return Picked(shard.first, bytes(bits))

    def entry(self, shard: Shard, number: int, asked: Asked, result: Result) -> Entry | None:
        """What the ledger is told of a result; nothing of one that never ran."""
        if result.usage is not None:
            return self._settled(shard, number, result, result.usage)
        if result.completed:
            return self._estimated(shard, number, asked, "unknown", result)
        if result.filtered:
            return self._estimated(shard, number, asked, "settled", result)
        if not result.status:
            return None
        return self._made(shard, number, "failed", result=result)

    def _settled(self, shard: Shard, number: int, result: Result, usage: Usage) -> Entry:
        cost = self.charged(usage)
        return self._made(shard, number, "unpriced" if cost.unpriced else "settled", usage, cost, result)

    def _estimated(
        self, shard: Shard, number: int, asked: Asked, status: Status, result: Result | None = None
    ) -> Entry:
        """Azure bills the prompt at least, and told no figures."""
        usage = Usage(asked.tokens, 0, source="estimated")
        cost = self.charged(usage)
        return self._made(shard, number, "unpriced" if cost.unpriced else status, usage, cost, result)

    def _made(
        self,
        shard: Shard,
        number: int,
        status: Status,
        usage: Usage | None = None,
        cost: Charge | None = None,
        result: Result | None = None,
    ) -> Entry:
        batch = self.batch
        return Entry(
            entry_id=f"{batch.id}_{number}.{shard.attempt}",
            operation="batches",
            key_id=batch.owner,
            model=batch.model,
            started_at=batch.created_at,
            key_alias=batch.alias,
            tags=batch.tags,
            deployment=shard.label,
            deployment_id=shard.deployment,
            base_model=self.base_model,
            status=status,
            usage={} if usage is None else usage_fields(usage),
            cost=None if cost is None else cost.cost,
            price_source="" if cost is None else cost.price_source,
            http_status=0 if result is None else result.status,
            code=shard.code if result is None else result.code,
            outcome="ok" if result is not None and result.completed else "error",
            ended_at=shard.since,
            duration_ms=round(max(shard.since - batch.created_at, 0.0) * 1000, 3),
            request_id="" if result is None else result.request_id,
        )


def finished(
    piece: Piece, mark: Mark, outputs: list[tuple[int, bytes]], errors: list[tuple[int, bytes]], expired: int
) -> Piece:
    """The piece with its lines, each told under its number, in order."""
    shard = piece.shard
    piece.output = b"".join(line for _, line in sorted(outputs))
    piece.error = b"".join(line for _, line in sorted(errors))
    piece.shard = replace(
        shard,
        mark=mark,
        chunks=shard.chunks + bool(piece.entries),
        completed=shard.completed + len(outputs),
        failed=shard.failed + len(errors),
        expired=shard.expired + expired,
        output_blocks=shard.output_blocks + bool(piece.output),
        output_bytes=shard.output_bytes + len(piece.output),
        error_blocks=shard.error_blocks + bool(piece.error),
        error_bytes=shard.error_bytes + len(piece.error),
        cost=shard.cost + sum(one.cost or 0 for one in piece.entries),
        **{f"{name}_tokens": getattr(shard, f"{name}_tokens") + _sum(piece.entries, name) for name in TOKENS},
    )
    return piece


def _sum(entries: list[Entry], name: str) -> int:
    return sum(int(one.usage.get(name, 0)) for one in entries)


def has(bits: bytes | bytearray, place: int) -> bool:
    """Whether that bit is set."""
    return bool(bits[place >> 3] >> (place & 7) & 1)


def put(bits: bytearray, place: int) -> None:
    """Sets that bit."""
    bits[place >> 3] |= 1 << (place & 7)
