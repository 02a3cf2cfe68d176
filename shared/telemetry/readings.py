"""What is read when somebody asks, as opposed to what is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

GAUGES: Mapping[str, str] = {
    "spillway_calls_under_way": "Calls under way on this instance.",
    "spillway_in_flight": "Attempts in flight at a deployment.",
    "spillway_usage_sharing_degraded": "1 while the use of other instances cannot be read: limits hold for this alone.",
    "spillway_ledger_waiting_records": "Records of the ledger that are not in its table yet.",
    "spillway_ledger_lag_seconds": "For how long the ledger could not be written; 0 when the last write was good.",
    "spillway_storage_degraded": "1 while the ledger cannot be written and its records wait in memory.",
}
"""Every gauge with what it tells, by Prometheus's names."""


class Reading(NamedTuple):
    """One gauge at this moment."""

    name: str
    value: float
    labels: Mapping[str, str] = {}  # never written


Readings = Callable[[], Iterable[Reading]]
"""Gives the gauges, those of one name beside each other with the same labels; quick, and does no I/O. May be called
from another thread than the event loop's."""
