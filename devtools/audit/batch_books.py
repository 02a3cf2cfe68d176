"""The ledger of batches against the simulator's bill, request by request and in all.

A request that ran is billed once for each time it ran; the ledger has an entry of the same tokens and the same cost for
each, and the caller's file tells those tokens too. A request that Azure refused is in no bill, and costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from devtools.audit.batch_files import Results, number_of
from devtools.audit.books import cost_of
from shared.spend.entry import Entry

WRONG_MAX = 20


class Ran(NamedTuple):
    """What one run of a request used, and cost in picodollars."""

    prompt: int
    completion: int
    cost: int


@dataclass(slots=True)
class Books:
    """Lines and their sum, in picodollars, in the ledger and in the bill; `failed` entries cost nothing. `wrong` says
    in words what must not be."""

    entries: int = 0
    entered: int = 0
    failed: int = 0
    lines: int = 0
    billed: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Books) -> None:
        """Adds what another has."""
        self.entries += other.entries
        self.entered += other.entered
        self.failed += other.failed
        self.lines += other.lines
        self.billed += other.billed
        self.wrong += other.wrong


def compared(bill: Iterable[Mapping[str, Any]], entries: Iterable[Entry], results: Results) -> Books:
    """Holds the books of one batch against each other, and against what its caller was told."""
    books = Books()
    billed: defaultdict[int, list[Ran]] = defaultdict(list)
    entered: defaultdict[int, list[Ran]] = defaultdict(list)
    for line in bill:
        cost = round(cost_of(line) * line["price_factor"])
        billed[number_of(line["custom_id"])].append(Ran(line["prompt_tokens"], line["completion_tokens"], cost))
        books.lines += 1
        books.billed += cost
    for entry_id, entry in _once(books, entries).items():
        if entry.status == "failed":
            books.failed += 1
        else:
            usage = entry.usage
            ran = Ran(usage.get("prompt", 0), usage.get("completion", 0), entry.cost or 0)
            entered[int(entry_id.rpartition(".")[0].rpartition("_")[2])].append(ran)
            books.entries += 1
            books.entered += ran.cost
            if entry.status != "settled" or usage.get("source") == "estimated":
                books.wrong.append(f"{entry_id}: {entry.status} ({entry.code}), {dict(usage)}")
    for number in sorted(billed.keys() | entered.keys()):
        if sorted(billed[number]) != sorted(entered[number]):
            books.wrong.append(f"request {number}: billed {billed[number]}, entered {entered[number]}")
    for number, tokens in results.tokens.items():
        if all(tokens != ran[:2] for ran in entered[number]):
            books.wrong.append(f"request {number}: its caller was told {tokens}, entered {entered[number]}")
    return books


def _once(books: Books, entries: Iterable[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.entry_id in found:
            books.wrong.append(f"{entry.entry_id}: listed more than once")
        found[entry.entry_id] = entry
    return found
