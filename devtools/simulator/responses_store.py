"""What each resource keeps of its responses: the objects, their items, their progress in the background.

Progress is a function of the clock: nothing runs, a response is looked at and told how far it is by now.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from devtools.simulator.bill import Line
from devtools.simulator.exchange import Event

RETENTION_S = 30 * 24 * 3600
"""Azure keeps a response for 30 days."""
RESPONSES_MAX = 10_000
CONTAINERS_MAX = 10_000

Item = dict[str, Any]


@dataclass(slots=True)
class Background:
    """The timetable of a background response, in monotonic seconds. `line` is its line in the bill."""

    started: float
    queue_s: float
    run_s: float
    line: Line
    output_tokens: int
    reasoning_tokens: int
    cancelled: float | None = None

    def done(self, now: float) -> float:
        """How much is done, from 0 (or less: still queued) to 1."""
        at = now if self.cancelled is None else min(now, self.cancelled)
        ran = at - self.started - self.queue_s
        if ran < 0:
            return -1.0
        return 1.0 if ran >= self.run_s else ran / self.run_s

    def settle(self, now: float) -> None:
        """Brings the line in the bill up to date."""
        share = max(0.0, self.done(now))
        self.line.completion_tokens = int(self.output_tokens * share)
        self.line.reasoning_tokens = min(self.reasoning_tokens, self.line.completion_tokens)
        self.line.finished = share == 1.0


@dataclass(slots=True)
class Stored:
    """One response: as it is in the end, what the model had read, and the events when it can be streamed again."""

    response: dict[str, Any]
    context: list[Item]
    created: float
    background: Background | None = None
    events: list[Event] | None = None
    delay_s: float = 0.0

    def status(self, now: float) -> str:
        if self.background is None:
            return str(self.response["status"])
        done = self.background.done(now)
        if done >= 1:
            return str(self.response["status"])
        if self.background.cancelled is not None:
            return "cancelled"
        return "queued" if done < 0 else "in_progress"

    def view(self, now: float) -> dict[str, Any]:
        """The response as it is now."""
        status = self.status(now)
        if status == self.response["status"]:
            return self.response
        return self.response | {
            "status": status, "output": [], "usage": None, "error": None, "incomplete_details": None,
            "completed_at": None,
        }  # fmt: skip

    def due(self, now: float) -> int:
        """How many of its events have happened by now."""
        assert self.events is not None
        if self.background is None:
            return len(self.events)
        at = now if self.background.cancelled is None else min(now, self.background.cancelled)
        ran = at - self.background.started - self.background.queue_s
        first = self.background.run_s - self.delay_s * (len(self.events) - 1)
        if ran < first:
            return 0
        if self.delay_s == 0:
            return len(self.events)
        return min(len(self.events), 1 + int((ran - first) / self.delay_s))


@dataclass(slots=True)
class Shelf:
    """What one resource keeps."""

    responses: OrderedDict[str, Stored] = field(default_factory=OrderedDict)
    items: dict[str, Item] = field(default_factory=dict)
    containers: OrderedDict[str, None] = field(default_factory=OrderedDict)


class Store:
    """The shelves of all resources, each with its RESPONSES_MAX latest responses."""

    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}

    def clear(self) -> None:
        self._shelves.clear()

    def shelf(self, resource: str) -> Shelf:
        return self._shelves.setdefault(resource, Shelf())

    def put(self, resource: str, stored: Stored) -> None:
        shelf = self.shelf(resource)
        shelf.responses[stored.response["id"]] = stored
        for item in (*stored.context, *stored.response["output"]):
            shelf.items[item["id"]] = item
        if len(shelf.responses) > RESPONSES_MAX:
            _forget(shelf, next(iter(shelf.responses)))

    def get(self, resource: str, response_id: str, time: float) -> Stored | None:
        """The response, unless this resource does not have it, or has it no longer at `time` (unix seconds)."""
        shelf = self.shelf(resource)
        stored = shelf.responses.get(response_id)
        if stored is not None and time - stored.created >= RETENTION_S:
            _forget(shelf, response_id)
            return None
        return stored

    def delete(self, resource: str, response_id: str) -> None:
        _forget(self.shelf(resource), response_id)

    def new_container(self, resource: str, container_id: str) -> str:
        containers = self.shelf(resource).containers
        containers[container_id] = None
        if len(containers) > CONTAINERS_MAX:
            containers.popitem(last=False)
        return container_id

    def settle(self, now: float) -> None:
        """Brings the bill of everything in the background up to date."""
        for shelf in self._shelves.values():
            for stored in shelf.responses.values():
                if stored.background is not None:
                    stored.background.settle(now)


def _forget(shelf: Shelf, response_id: str) -> None:
    """Drops a response and the items that it alone wrote; those of its context may be others' too."""
    stored = shelf.responses.pop(response_id, None)
    for item in stored.response["output"] if stored else ():
        shelf.items.pop(item["id"], None)
