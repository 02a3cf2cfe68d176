"""What the holders of virtual keys may still do: the limits of a call as it begins, the money of its attempts.

A call is let in when its key has a request, its tokens and a place left (`admit`): else 429. Each of its attempts sets
money aside before it is sent (`Ticket.reserve`): else 402. A request that names the most it may answer sets aside what
that costs, and never comes to more. One that does not sets aside no more than `budget_reserve_usd_max`, a part of what
is left, and what is there; only such a call may come to more than was set aside, which is told.

However many keys there are, no call is refused for it: beyond `keys_max` those that were used least lately give back
what they hold and leave memory, and a call of a key that comes back asks the table as its first call did.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from shared.callers.desk import Desk
from shared.callers.exceeded import exceeded, limited, usd
from shared.callers.key_store import shares_place
from shared.callers.known_keys import KEYS_MAX
from shared.callers.shares import BUDGET, EMPTY, PARALLEL, REQUESTS, TOKENS, Pot, pots_of, room_at
from shared.callers.shares_row import read
from shared.callers.tasks import CALLS, TASKS
from shared.callers.virtual_key import VirtualKey
from shared.callers.wallet import IDLE_S, RENEW_S, Wallet
from shared.config.pricing import PICO
from shared.errors import BudgetExceeded, RateLimited, SpillwayError, StorageFailed

log = logging.getLogger("spillway")

TICK_S = 0.25
LOOK_S = 1.0
"""Of all wallets, those that something may be due for are looked for so often."""
KEPT_AT_ONCE = 16
PATIENT_S = 120.0
"""RENEW_S and IDLE_S of a key without limits: nobody waits for what it gives back, and what it has spent may be told so
late, as it has a lease and the ledger has the rest. Less than key_sweep.SILENT_S."""
FULL = 2
"""With so many times `keys_max` in memory a key that is not waits until others have left."""
WAIT_S = 2.0
"""An attempt whose money is set aside for others waits so long for some of it to come back."""
ASK_S = 0.2
OPEN_PART = 16
"""So many calls without an end in sight find room at once, however little is left; each with what it probably costs."""
DENIED_S = 1.0
"""A budget that was found used up is not looked up again for so long, nor a limit that was found reached for ASK_S."""
MICRO = PICO // 10**6


class Purses:
    """The wallets of one instance, FULL times `keys_max` and one a call at most. `reserve_max`: picodollars."""

    def __init__(self, desk: Desk, reserve_max: int, keys_max: int = KEYS_MAX) -> None:
        self.reserve_max = reserve_max
        self._desk = desk
        self._keys_max = keys_max
        self._wallets: OrderedDict[str, Wallet] = OrderedDict()
        """That of the key that was used least lately comes first."""
        self._restless: dict[str, Wallet] = {}  # for which something may be due, as far as is known
        self._looked_at, self._keeping = float("-inf"), False
        self._told: dict[str, tuple[str, int]] = {}

    def __len__(self) -> int:
        return len(self._wallets)

    async def admit(self, key: VirtualKey, tokens: int, *, open_ended: bool) -> Ticket:
        """Lets a call of so many tokens in; `open_ended`: it does not say how long its answer may be.

        Raises RateLimited; StorageFailed where no room can be made for another key."""
        while key.key_id not in self._wallets and len(self._wallets) >= FULL * self._keys_max:
            if not await self._leave(KEPT_AT_ONCE):
                break  # all of them have calls under way
        wallet = self._wallet(key)
        pots = wallet.pots
        most = pots[TOKENS].limit or 0 if TOKENS in pots else 0
        wanted = {REQUESTS: 1, TOKENS: max(1, min(tokens, most)), PARALLEL: 1}
        needs = {name: amount for name, amount in wanted.items() if name in pots}
        wallet.calls += 1
        try:
            if needs and not await self._has(wallet, needs):
                raise _limited(wallet, pots, needs)
            ticket = Ticket(self, wallet, pots, needs.get(TOKENS, 0), open_ended)
            for name in (REQUESTS, TOKENS):
                if name in needs:
                    wallet.spend(name, needs[name], pots[name].bucket)
            if PARALLEL in needs:
                wallet.take({PARALLEL: 1})
        except BaseException:
            wallet.calls -= 1
            raise
        return ticket

    async def keep(self) -> None:
        """Renews leases and gives back what is not needed, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            await self.turn()

    async def turn(self) -> None:
        """Does it once, with the wallets that something may be due for."""
        now = self._desk.now()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._restless = {id: wallet for id, wallet in self._wallets.items() if now >= wallet.rests_until}
        awake = list(self._restless.values())
        for wallet in awake:
            wallet.renew_s, wallet.idle_s = (RENEW_S, IDLE_S) if wallet.key.limited else (PATIENT_S, PATIENT_S)
        due = [wallet for wallet in awake if wallet.due()]
        for start in range(0, len(due), KEPT_AT_ONCE):
            some = due[start : start + KEPT_AT_ONCE]
            await asyncio.gather(*(wallet.keep() for wallet in some), return_exceptions=True)
            for wallet in some:
                self.tell(wallet)
        for wallet in awake:
            if not wallet.key.limited:
                wallet.rests_until = self._desk.now() + wallet.rest_s()
            if wallet.gone and self._wallets.get(wallet.key.key_id) is wallet:
                del self._wallets[wallet.key.key_id]
            if wallet.gone or self._desk.now() < wallet.rests_until:
                self._restless.pop(wallet.key.key_id, None)
        with suppress(SpillwayError):  # the next turn tries again
            while (over := len(self._wallets) - self._keys_max) > 0 and await self._leave(min(over, KEPT_AT_ONCE)):
                pass

    def tell(self, wallet: Wallet) -> None:
        """Says once in a period that a budget is overspent, or that its soft limit is reached."""
        key, pot = wallet.key, wallet.pots[BUDGET]
        over = 0 if pot.limit is None else max(0, wallet.spent(BUDGET) - pot.limit)
        kind = "overspent" if over else "soft" if reached(wallet) else ""
        if kind and self._told.get(key.key_id) not in ((kind, pot.bucket), ("overspent", pot.bucket)):
            if len(self._told) >= KEYS_MAX:
                self._told.clear()
            self._told[key.key_id] = (kind, pot.bucket)
            if over:
                log.warning("key %s has spent %s USD more than its budget", key.key_id, usd(over))
            else:
                log.warning("key %s has reached its soft budget of %s USD", key.key_id, usd(key.soft_budget or 0))

    async def spent(self, key: VirtualKey) -> int:
        """What is spent of a key's budget, as all instances have told, and this one knows. Raises StorageFailed."""
        row = await self._desk.table.get(shares_place(key.key_id), key.key_id)
        wallet = self._wallets.get(key.key_id)
        if wallet is None:
            shares = EMPTY if row is None else read(row)
            return shares.spent(BUDGET, pots_of(key, self._desk.clock())[BUDGET])
        if row is not None and not wallet.writing:
            wallet.saw(read(row), row.etag)
        wallet.key = key
        return wallet.spent(BUDGET)

    async def _has(self, wallet: Wallet, needs: Mapping[str, int]) -> bool:
        """Whether the limits let a call in; without an answer of storage this instance keeps to its part of them."""
        recently, pots = self._desk.now() - wallet.seen_at < ASK_S, wallet.pots
        if recently and any(wallet.spent(name) + amount > (pots[name].limit or 0) for name, amount in needs.items()):
            return False
        try:
            return await wallet.have(needs)
        except StorageFailed:
            clock = self._desk.clock()
            return all(
                wallet.spent(name) + wallet.holding.set_aside.get(name, 0) + amount
                <= (pots[name].limit or 0) / max(1, wallet.seen.holders(pots[name], clock))
                for name, amount in needs.items()
            )

    async def _leave(self, count: int) -> int:
        """Lets those wallets go that were used least lately and have no call under way, at most `count`; how many went.
        Raises what Wallet.leave raises when none did."""
        idle = list(islice((one for one in self._wallets.values() if one.idle), count))
        answers = await asyncio.gather(*(one.leave() for one in idle), return_exceptions=True)
        failures = [one for one in answers if isinstance(one, BaseException)]
        gone = [wallet for wallet in idle if wallet.gone and self._wallets.get(wallet.key.key_id) is wallet]
        for wallet in gone:
            del self._wallets[wallet.key.key_id]
        if failures and not gone:
            raise failures[0]
        return len(gone)

    def _wallet(self, key: VirtualKey) -> Wallet:
        wallet = self._wallets.get(key.key_id)
        if wallet is None:
            if not self._keeping:
                self._desk.supervisor.keep(self.keep, "limits of keys")
                self._keeping = True
            wallet = self._wallets[key.key_id] = self._restless[key.key_id] = Wallet(key, self._desk)
        else:
            self._wallets.move_to_end(key.key_id)
        if key is not wallet.key:
            wallet.key, wallet.rests_until = key, float("-inf")  # it may have limits now
            self._restless[key.key_id] = wallet
        return wallet


@dataclass(slots=True)
class Ticket:
    """A call that was let in; the purse of its attempts. `pots`: as they were then; `tokens`: what was counted."""

    purses: Purses
    wallet: Wallet
    pots: Mapping[str, Pot]
    tokens: int
    open_ended: bool
    _reserved: dict[str, tuple[int, int]] = field(default_factory=dict)
    _closed: bool = False

    async def reserve(self, entry_id: str, picodollars: int | None, probable: int | None) -> None:
        """Sets aside what an attempt may cost. Raises BudgetExceeded, StorageFailed."""
        wallet = self.wallet
        amount = 1 if picodollars is None else picodollars  # of what has no price, nothing can be set aside
        if self.open_ended and amount:
            part = max(probable or 0, (self._left() or 0) // OPEN_PART)
            amount = max(1, min(amount, self.purses.reserve_max, part))
        if amount:
            amount = await self._had(amount)
        wallet.take({BUDGET: amount})
        self._reserved[entry_id] = (amount, wallet.pots[BUDGET].bucket)

    def settle(self, entry_id: str, picodollars: int | None) -> None:
        """What the attempt came to."""
        amount, bucket = self._reserved.pop(entry_id)
        self.wallet.settle(BUDGET, amount, picodollars or 0, bucket)
        self.purses.tell(self.wallet)

    def headers(self) -> dict[str, str]:
        """What an answer says of its key's budget."""
        key = self.wallet.key
        headers = {}
        if key.max_budget is not None:
            headers["x-spillway-key-spend-usd"] = usd(self.wallet.spent(BUDGET))
            headers["x-spillway-key-max-budget-usd"] = usd(key.max_budget)
        if reached(self.wallet):
            headers["x-spillway-soft-budget"] = "exceeded"
        return headers

    def close(self, tokens: int) -> None:
        """The call has ended, with so many tokens."""
        if self._closed:
            return
        self._closed = True
        wallet = self.wallet
        wallet.calls -= 1
        if TOKENS in self.pots:
            wallet.correct(TOKENS, tokens - self.tokens, self.pots[TOKENS].bucket)
        if PARALLEL in self.pots:
            wallet.settle(PARALLEL, 1, 0, 0)

    async def _had(self, amount: int) -> int:
        """So much can be taken; for an attempt whose answer has no end in sight, perhaps less. Raises as `reserve`."""
        wallet = self.wallet
        now = wallet.desk.now
        until = now() + WAIT_S
        while True:
            recently = now() - wallet.seen_at < DENIED_S
            if recently and not self._there(amount):
                raise self._exceeded(amount)
            try:
                if await wallet.have({BUDGET: amount}):
                    return amount
            except SpillwayError:
                if not self.open_ended or wallet.usable(BUDGET) <= 0:
                    raise
            if self.open_ended and wallet.usable(BUDGET) > 0:
                return min(amount, wallet.usable(BUDGET))
            if not self._there(amount) or now() >= until:
                raise self._exceeded(amount)
            await wallet.change(ASK_S)

    def _left(self) -> int | None:
        """What is not spent, None where there is no end."""
        limit = self.wallet.key.max_budget
        return None if limit is None else limit - self.wallet.spent(BUDGET)

    def _there(self, amount: int) -> bool:
        """Whether so much is not spent yet, nor set aside for long, whichever calls have it."""
        left = self._left()
        return left is None or left - self.wallet.seen.kept >= (1 if self.open_ended else amount)

    def _exceeded(self, amount: int) -> BudgetExceeded:
        clock, left = self.wallet.desk.clock(), max(0, self._left() or 0)
        enough = left >= (1 if self.open_ended else amount)
        aside = CALLS if self._there(amount) else TASKS if enough else ""
        return exceeded(self.wallet.key, clock, left, None if self.open_ended else amount, aside)


def reached(wallet: Wallet) -> bool:
    """Whether a key's soft budget is."""
    soft = wallet.key.soft_budget
    return soft is not None and wallet.spent(BUDGET) >= soft


def _limited(wallet: Wallet, pots: Mapping[str, Pot], needs: Mapping[str, int]) -> RateLimited:
    name = next((one for one, amount in needs.items() if wallet.usable(one) < amount), REQUESTS)
    clock = wallet.desk.clock()
    at = room_at(wallet.seen, name, pots_of(wallet.key, clock)[name], needs[name])
    return limited(name, pots[name], None if at is None else at - clock)
