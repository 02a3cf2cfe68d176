"""The account of one call: every attempt is opened in the ledger before it is sent, and settled once.

open ── before an attempt is sent; the purse is asked first, and when it or the ledger refuses nothing is sent
  ├ used    its usage is known, told or estimated        settled, or unpriced
  ├ failed  it was not billed                            failed, 0
  │         perhaps it was                               unknown, with the estimate
  └ close   the call ended before the attempt did        unknown, with the estimate; not sent: failed, 0

What the log, the headers and the ledger say of a call's use and cost comes from here, so that they say the same.
Budgets hang on here too: a Purse is asked for what an attempt may cost at most, and told what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

from shared.catalog.price import Price
from shared.config.pricing import PICO
from shared.errors import PERHAPS_DONE, ContentFiltered, Replay, SpillwayError
from shared.spend.entry import Entry, Settlement, changed, closed, usage_fields
from shared.spend.ledger import HEADER, Handle, Ledger
from shared.spend.pricing import charge, usd
from shared.telemetry import CallRecord
from shared.upstream.deployment import Deployment
from shared.usage.usage import Usage

_USAGE = frozenset(one.name for one in fields(Usage))


class Purse(Protocol):
    """What the caller of one call may spend. `entry_id` names the attempt; amounts are whole picodollars (1e-12 USD),
    None where there is no price."""

    async def reserve(self, entry_id: str, picodollars: int | None, probable: int | None) -> None:
        """Sets aside what the attempt may cost at most, or less where that cannot be had but what it probably costs
        can; awaited before it is entered and sent. Raises SpillwayError, which the client is told: the attempt is then
        not sent, and `settle` is not called for it."""

    def settle(self, entry_id: str, picodollars: int | None) -> None:
        """What it cost; called once for each `reserve` that returned, also with 0. An attempt that outlives its reply
        (a response in the background) is told with its estimate when the call ends."""

    def headers(self) -> dict[str, str]:
        """What the answer says of the caller's means."""


class Refused(Exception):
    """An attempt must not be sent, and no deployment is to blame: `failure` is what the client is told."""

    def __init__(self, failure: SpillwayError) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(slots=True)
class _Opened:
    """`sent`: on its way to the deployment; `accepted`: the model answers; `kept`: settled elsewhere, later."""

    handle: Handle
    price: Price
    expected: Usage
    sent: bool = False
    accepted: bool = False
    kept: bool = False
    request_id: str = ""
    first_byte_ms: float | None = None


class Account:
    """The attempts of one call, one after the other; every method but `open` is about the last. `call` is an Entry
    with what is the same for each of them. `free`: the operation is not billed, and nothing is entered."""

    def __init__(
        self,
        ledger: Ledger,
        call: Entry,
        clock: Callable[[], float],
        purse: Purse | None = None,
        *,
        free: bool = False,
    ) -> None:
        self._ledger = ledger
        self._call = call
        self._clock = clock
        self._purse = purse
        self._free = free
        self._opened: list[_Opened] = []

    async def open(
        self, entry_id: str, deployment: Deployment, expected: Usage, most: Callable[[], Usage] | None = None
    ) -> None:
        """Opens an attempt, which is sent next. `expected` is its probable usage, `most` tells the greatest; no more
        than that is reserved. Raises Refused."""
        if self._free:
            return
        price = deployment.price
        probable = charge(expected, price).cost
        try:
            if self._purse is not None:
                greatest = charge(most() if most is not None else expected, price).cost
                await self._purse.reserve(entry_id, greatest, probable)
            try:
                handle = self._ledger.open(
                    changed(
                        self._call,
                        entry_id=entry_id,
                        started_at=self._clock(),
                        model=self._call.model or deployment.model_name,
                        deployment=deployment.label,
                        deployment_id=deployment.id,
                        base_model=deployment.base_model or price.model,
                        estimate=usage_fields(expected),
                        reserved=probable,
                    )
                )
            except SpillwayError:
                if self._purse is not None:
                    self._purse.settle(entry_id, 0)
                raise
            opened = _Opened(handle, price, expected)
            self._opened.append(opened)
            try:
                await handle.before_send()
            except SpillwayError:
                self._tell_purse(handle.entry)
                raise
        except SpillwayError as failure:
            raise Refused(failure) from failure
        opened.sent = True

    def answered(self, request_id: str) -> None:
        """The deployment answers, under this id of its own."""
        if self._opened:
            self._opened[-1].request_id = request_id

    def accepted(self) -> None:
        """The answer is the model's: from now on it bills, also for one that fails."""
        if self._opened:
            self._opened[-1].accepted = True

    def first_byte(self) -> None:
        """The first data of the answer is on its way to the client."""
        if self._opened and self._opened[-1].first_byte_ms is None:
            last = self._opened[-1]
            last.first_byte_ms = round(max(self._clock() - last.handle.entry.started_at, 0.0) * 1000, 3)

    def used(self, usage: Usage, outcome: str = "ok") -> None:
        """What the attempt used."""
        if self._opened:
            self._settle(self._opened[-1], _priced(usage, self._opened[-1].price), outcome, 200)

    def failed(self, failure: SpillwayError) -> None:
        """The attempt failed. A prompt that the filter refused is billed. What was sent and not answered may be, and
        so may what the model began to answer, unless it then said that it refuses the work."""
        if not self._opened:
            return
        last = self._opened[-1]
        perhaps = failure.replay in PERHAPS_DONE or (last.accepted and failure.replay is not Replay.FREELY)
        if isinstance(failure, ContentFiltered) and not last.accepted:
            prompt = Usage(last.expected.prompt, 0, source="estimated", tier=last.expected.tier)
            settlement = _priced(prompt, last.price)
            if settlement.cost is None and not last.price.unpriced:  # of its images alone: words are free
                settlement.status, settlement.cost = "settled", 0
        elif perhaps:
            settlement = _unknown(last.handle.entry)
        else:
            settlement = Settlement("failed", cost=0)
        self._settle(last, settlement, "error", failure.status, str(failure.code or ""))

    def keep(self) -> Entry | None:
        """The attempt, which goes on after this call and will be settled elsewhere; None when it was not entered."""
        if not self._opened or not self._opened[-1].handle.entry.is_open:
            return None
        self._opened[-1].kept = True
        return self._opened[-1].handle.entry

    def close(self, code: str = "") -> None:
        """The call has ended, and with it every attempt."""
        for one in self._opened:
            if not one.handle.entry.is_open:
                continue
            if one.kept:
                self._tell_purse(one.handle.entry)
            elif one.sent:
                self._settle(one, _unknown(one.handle.entry), "error", 0, code)
            else:
                self._settle(one, Settlement("failed", cost=0), "error", 0, code)

    async def before_reply(self) -> None:
        """Awaited before the first byte of an answer leaves: what may be billed is in the table, or has waited."""
        for one in self._opened:
            if one.handle.entry.status != "failed":
                await one.handle.before_reply()

    async def before_end(self) -> None:
        """Awaited before the last byte of a stream leaves."""
        if self._opened:
            await self._opened[-1].handle.before_end()

    @property
    def entries(self) -> list[Entry]:
        """Every attempt as it stands."""
        return [one.handle.entry for one in self._opened]

    @property
    def cost(self) -> int | None:
        """What all attempts cost together, in picodollars; None while one is open, or when one has no price."""
        return _cost(self.entries)

    def headers(self) -> dict[str, str]:
        """What the answer says of its cost and of the ledger."""
        cost = self.cost
        headers = {} if cost is None else {"x-spillway-cost-usd": usd(cost)}
        if any(one.handle.buffered for one in self._opened):
            headers[HEADER] = "buffered"
        return headers if self._purse is None else headers | self._purse.headers()

    def _settle(self, one: _Opened, settlement: Settlement, outcome: str, status: int, code: str = "") -> None:
        settlement.http_status, settlement.code, settlement.outcome = status, code, outcome
        settlement.first_byte_ms, settlement.request_id = one.first_byte_ms, one.request_id
        if one.handle.entry.is_open:
            one.handle.settle(settlement)
            self._tell_purse(one.handle.entry)

    def _tell_purse(self, entry: Entry) -> None:
        if self._purse is not None:
            self._purse.settle(entry.entry_id, entry.reserved if entry.is_open else entry.cost)


def tell(record: CallRecord, entries: Sequence[Entry]) -> None:
    """Writes into the record what a call's attempts used and cost together, as the ledger has it."""
    used = [_usage(entry) for entry in entries if entry.usage]
    if used:
        record.prompt_tokens = sum(one.prompt for one in used)
        record.completion_tokens = sum(one.completion for one in used)
        record.cached_tokens = sum(one.cached for one in used)
        record.reasoning_tokens = sum(one.reasoning for one in used)
        record.usage_source = "estimated" if any(one.source == "estimated" for one in used) else "upstream"
    cost = _cost(entries)
    record.cost_usd = None if cost is None else cost / PICO


def _cost(entries: Sequence[Entry]) -> int | None:
    costs = [None if entry.is_open else entry.cost for entry in entries]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


class LateSettle:
    """Settles attempts of any instance whose answer ended after their reply. `price` tells what the deployment with an
    id charges."""

    def __init__(self, ledger: Ledger, price: Callable[[str], Price], clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._price = price
        self._clock = clock

    async def __call__(self, entry: Entry, usage: Usage | None, outcome: str) -> Entry:
        """The entry with its end, which is in the table; `usage` None: it never told any. May be called again.

        Raises StorageFailed.
        """
        settlement = _unknown(entry) if usage is None else _priced(usage, self._price(entry.deployment_id))
        settlement.outcome, settlement.http_status = outcome, 200
        late = closed(entry, settlement, round(self._clock(), 3))
        await self._ledger.settle_late(late)
        return late


def _priced(usage: Usage, price: Price) -> Settlement:
    charged = charge(usage, price)
    source = charged.price_source
    if charged.estimated and usage.source == "upstream":
        source += "+estimate"  # the units that were told are not those that are priced
    status: Literal["settled", "unpriced"] = "unpriced" if charged.unpriced else "settled"
    return Settlement(status, usage=usage_fields(usage), cost=charged.cost, price_source=source)


def _unknown(entry: Entry) -> Settlement:
    return Settlement("unknown", usage=entry.estimate, cost=entry.reserved, price_source="estimate")


def _usage(entry: Entry) -> Usage:
    known: dict[str, Any] = {name: value for name, value in entry.usage.items() if name in _USAGE}
    return Usage(**known)
