"""The telemetry of one gateway: every call is counted, and OpenTelemetry is told where somebody listens to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from shared.telemetry.counters import Counters
from shared.telemetry.opentelemetry import OpenTelemetry
from shared.telemetry.readings import Reading, Readings
from shared.telemetry.record import CallRecord

if TYPE_CHECKING:
    from opentelemetry.context import Context

log = logging.getLogger("spillway")

READ_S = 1.0
"""An exporter waits so long for the gauges."""


class Telemetry:
    """`worker` names this instance, `readings` gives its gauges. Belongs to the running event loop."""

    def __init__(self, worker: str, readings: Readings, *, opentelemetry: bool) -> None:
        self.worker = worker
        self.readings = readings
        self.counters = Counters()
        self._opentelemetry: OpenTelemetry | None = None
        if opentelemetry:
            self._loop = asyncio.get_running_loop()
            try:
                self._opentelemetry = OpenTelemetry(self.counters, self._read, worker)
            except ModuleNotFoundError as missing:
                log.warning("OpenTelemetry is switched on but not installed (%s): nothing is told to it", missing.name)

    def began(self, record: CallRecord, headers: Mapping[str, str]) -> None:
        """A request has come with these headers; its record will be heard when it ends."""
        if self._opentelemetry is None:
            record.listener = self.counters.count
        else:
            record.listener = partial(self._ended, self._opentelemetry, self._opentelemetry.context(headers))

    def heard(self, record: CallRecord) -> None:
        """A call has ended that belongs to no request: a check of health, an answer that was made in the background."""
        if self._opentelemetry is None:
            self.counters.count(record)
        else:
            self._ended(self._opentelemetry, None, record)

    def _read(self) -> Iterable[Reading]:
        """The readings, also for an exporter's thread; none when the loop gives them too late."""

        async def read() -> list[Reading]:
            return list(self.readings())

        with suppress(RuntimeError):  # an exporter's thread has no loop
            asyncio.get_running_loop()
            return self.readings()
        if self._loop.is_closed():
            return ()
        reading = asyncio.run_coroutine_threadsafe(read(), self._loop)
        try:
            return reading.result(READ_S)
        except TimeoutError:  # the loop stands still
            reading.cancel()
            return ()

    def _ended(self, opentelemetry: OpenTelemetry, context: Context | None, record: CallRecord) -> None:
        self.counters.count(record)
        opentelemetry.ended(record, context)
