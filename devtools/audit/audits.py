"""The three audits: everything at once, hosts that are killed, and a storage account that goes away."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools.audit import mix
from devtools.audit.books import Audit, compared
from devtools.audit.load import Seen, ask_all
from devtools.audit.stage import Host, closed_totals, disagreement, hosts, listed, stoppable_storage
from devtools.bench.processes import simulator
from devtools.simulator import ControlClient
from devtools.storage import storage
from shared.spend.entry import Entry

SETTLED_S = 60.0
"""How long attempts may stay open behind the last answer."""
STILL_S = 12.0
"""Longer than a write that hangs and the pause before it is repeated."""
FAULTS = (
    {"probability": 0.015, "status": 500},
    {"probability": 0.01, "status": 503},
    {"probability": 0.005, "status": 429, "headers": {"retry-after": "0", "retry-after-ms": "50"}},
    {"probability": 0.005, "reset": True},
    {"probability": 0.005, "reset": True, "billed": True},
    {"probability": 0.01, "cut_after_bytes": 700},
)
"""A twentieth of all requests fails, in every way: refused, failed, reset before and after the model ran, cut."""
UNSEEN = "no byte of an answer had reached the client"
BUFFERED = "the answer said that its record waited for storage"
FRAIL = {"probability": 0.5, "resource": "sweden", "status": 500}


@dataclass(frozen=True, slots=True)
class Result:
    """What clients saw and what the books say. `seconds` of load, and how many hosts were killed in it."""

    seen: Seen
    audit: Audit
    seconds: float
    kills: int = 0


def everything(calls: int, *, host_count: int = 2, at_once: int = 48, seed: int = 1) -> Result:
    """Calls of every operation; a tenth of the clients leave, a twentieth of the upstream's answers fail."""
    with _stage() as (folder, sim, control), storage() as connection, ExitStack() as stack:
        _faults(control)
        served = stack.enter_context(hosts(host_count, mix.config(sim), folder, connection))
        urls = [one.url for one in served]
        started = time.monotonic()
        asked = mix.calls(calls, seed)
        seen = asyncio.run(ask_all(asked, lambda: urls, at_once=at_once, leaving=0.1, seed=seed))
        seconds = time.monotonic() - started
        control.call("DELETE", "/faults")
        entries = _settled(connection, served[0], control)
        audit = compared(control.bill(), entries)
        for one in served:
            one.end()
        audit.wrong += disagreement(asyncio.run(closed_totals(connection)), entries)
        return Result(seen, audit, seconds)


def killed(
    calls: int, mode: str, *, host_count: int = 2, at_once: int = 32, every_s: float = 3.0, seed: int = 2
) -> Result:
    """Hosts are killed in turn, every few seconds, while calls are under way; each starts again."""
    with _stage() as (folder, sim, control), storage() as connection, ExitStack() as stack:
        served = stack.enter_context(hosts(host_count, mix.config(sim), folder, connection, SPILLWAY_LEDGER=mode))
        ready = dict.fromkeys(served, True)
        done = threading.Event()
        kills: list[Host] = []
        killer = threading.Thread(target=_kill, args=(served, ready, kills, done, every_s))
        killer.start()
        started = time.monotonic()
        asked = mix.calls(calls, seed, background=False)

        def urls() -> list[str]:
            return [one.url for one in served if ready[one]] or [served[0].url]

        try:
            seen = asyncio.run(ask_all(asked, urls, at_once=at_once, leaving=0.05, seed=seed, pause_s=0.01))
        finally:
            seconds = time.monotonic() - started
            done.set()
            killer.join()
        time.sleep(1.5)  # what clients left behind is drained
        for one in served:
            one.end()
        sums = asyncio.run(closed_totals(connection))
        entries = asyncio.run(listed(connection))
        bill = control.bill()
        calls_billed = {str(line["client_request_id"]).rpartition(".")[0] for line in bill}
        excused = dict.fromkeys(seen.buffered, BUFFERED) | dict.fromkeys(calls_billed - seen.answered, UNSEEN)
        audit = compared(bill, entries, may_lack=excused if mode == "before_reply" else None)
        audit.wrong += disagreement(sums, entries)
        return Result(seen, audit, seconds, len(kills))


def outage(calls: int, *, host_count: int = 2, at_once: int = 16, away_s: float = 20.0, seed: int = 3) -> Result:
    """The storage account is away in the middle."""
    with _stage() as (folder, sim, control), ExitStack() as stack:
        account = stack.enter_context(stoppable_storage(folder))
        served = stack.enter_context(hosts(host_count, mix.config(sim), folder, account.connection))
        urls = [one.url for one in served]
        asked = [one for one in mix.calls(calls, seed, background=False) if one.kind not in ("frail", "filtered")]

        def away() -> None:
            time.sleep(away_s / 4)
            account.stop()
            time.sleep(away_s)
            account.start()

        gone = threading.Thread(target=away)
        gone.start()
        started = time.monotonic()
        pause_s = 1.5 * away_s / len(asked)
        seen = asyncio.run(ask_all(asked, lambda: urls, at_once=at_once, seed=seed, pause_s=pause_s))
        seconds = time.monotonic() - started
        gone.join()
        entries = _settled(account.connection, served[0], control)
        audit = compared(control.bill(), entries)
        audit.wrong += [f"{count} answers of {status}" for status, count in seen.statuses.items() if status != 200]
        for one in served:
            one.end()
        audit.wrong += disagreement(asyncio.run(closed_totals(account.connection)), entries)
        return Result(seen, audit, seconds)


@contextmanager
def _stage() -> Iterator[tuple[Path, str, ControlClient]]:
    with tempfile.TemporaryDirectory() as folder, simulator() as sim, ControlClient(sim) as control:
        yield Path(folder), sim, control


def _faults(control: ControlClient) -> None:
    control.fault(times=None, **FRAIL)
    for rule in FAULTS:
        control.fault(times=None, **rule)


def _settled(connection: str, host: Host, control: ControlClient) -> list[Entry]:
    """The list when nothing in it is open any more and nothing comes any more, or when that takes too long.

    What waited in memory while storage was away is entered some seconds after it is back: what is billed and not listed
    is waited for, while the list grows."""
    until = time.monotonic() + SETTLED_S
    grew_at, size = time.monotonic(), -1
    while True:
        control.advance(60)  # responses in the background end by the simulator's clock
        host.sweep()
        time.sleep(1.0)
        entries = asyncio.run(listed(connection))
        now = time.monotonic()
        if len(entries) != size:
            grew_at, size = now, len(entries)
        known = {entry.entry_id for entry in entries}
        whole = all(str(line["client_request_id"]) in known for line in control.bill()) or now - grew_at > STILL_S
        if now > until or (whole and not any(entry.is_open for entry in entries)):
            return entries


def _kill(
    served: Sequence[Host], ready: dict[Host, bool], kills: list[Host], done: threading.Event, every_s: float
) -> None:
    """Kills one host after the other until it is told that the load is over."""
    while not done.wait(every_s):
        one = served[len(kills) % len(served)]
        kills.append(one)
        ready[one] = False
        one.kill()
        one.start()
        one.wait()
        ready[one] = True
