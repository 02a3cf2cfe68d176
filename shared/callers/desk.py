"""What the limits of all keys share on one instance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.callers.presence import Presence
from shared.storage.tables import Table
from shared.supervisor import Supervisor

Read = Callable[[], float]


def desk(table: Table, instance: str, supervisor: Supervisor, clock: Read, now: Read) -> Desk:
    """The desk of an instance."""
    return Desk(table, instance, supervisor, clock, now, Presence(table, instance, clock, now))


@dataclass(frozen=True, slots=True)
class Desk:
    """What every wallet of an instance shares. `clock` gives seconds since 1970, `now` goes forward."""

    table: Table
    instance: str
    supervisor: Supervisor
    clock: Read
    now: Read
    presence: Presence
