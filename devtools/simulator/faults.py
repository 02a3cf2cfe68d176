"""Faults on request: rules that say which requests fail, how often and in which way."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import orjson

from devtools.simulator import errors
from devtools.simulator.exchange import JSON, SSE_DONE, Event, Reply
from devtools.simulator.resources import SettingsError

RULES_MAX = 1000
IDENTITY = "identity"
BATCH_LINE = "batches/line"
NAMED = frozenset({IDENTITY, BATCH_LINE})
"""The identity endpoint and single lines of batches, as operations: only a rule that names one strikes it."""
HTML_502 = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>Microsoft-Azure-Application-Gateway/v2</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(slots=True)
class Rule:
    """One fault.

    Which requests: `resource`, `deployment`, `operation` (`chat/completions`, `models`; None = all, except
    `identity` and `batches/line`, which must be named), `custom_id` of a batch line, the first `after` matches pass,
    then `times` requests (None = for ever), each with `probability`.
    Instead of the answer: `status` with `body` (object, or string as it is) and `headers` (null removes one),
    `html` (a 502 page), `empty` (200 without a body), `reset` (TCP RST before any answer). These are not billed
    unless `billed`: then the model ran, and only its answer was lost.
    To the answer: `delay_ms` before the headers, `first_byte_delay_ms` before the body, `cut_after_bytes` or
    `cut_after_events` (the connection breaks), `stall_after_events` (silence for `stall_s`, then on),
    `truncate` (ends cleanly but early: after half, or after that many events), `drop_done`, `chunk_bytes` (the
    stream in pieces of so many bytes), `error_event_after_events` (with `body`, or Azure's rate limit event).
    To a Responses answer: `failed_after_events`: after so many events comes `response.failed`, with the `code` and
    `message` of `body` or those of a rate limit; a buffered or background response has the status `failed`.
    To a batch line: `status` with `body` is its result, `expired`: it did not run in time, `reset`: it has no result.
    """

    id: int
    resource: str | None = None
    deployment: str | None = None
    operation: str | None = None
    custom_id: str | None = None
    after: int = 0
    times: int | None = 1
    probability: float = 1.0
    status: int | None = None
    body: Any = None
    headers: dict[str, str | None] | None = None
    html: bool = False
    empty: bool = False
    reset: bool = False
    billed: bool = False
    delay_ms: float = 0.0
    first_byte_delay_ms: float = 0.0
    cut_after_bytes: int | None = None
    cut_after_events: int | None = None
    stall_after_events: int | None = None
    stall_s: float = 3600.0
    truncate: bool | int = False
    drop_done: bool = False
    chunk_bytes: int | None = None
    error_event_after_events: int | None = None
    failed_after_events: int | None = None
    expired: bool = False
    hits: int = 0

    @property
    def replaces(self) -> bool:
        """Whether the model's answer is never seen."""
        return self.status is not None or self.html or self.empty or self.reset

    def matches(self, operation: str, resource: str, deployment: str, custom_id: str | None = None) -> bool:
        if operation in NAMED and self.operation != operation:
            return False
        wanted = (
            (self.operation, operation), (self.resource, resource), (self.deployment, deployment),
            (self.custom_id, custom_id),
        )  # fmt: skip
        return self.times != 0 and all(want is None or want == have for want, have in wanted)


_SETTABLE = frozenset(f.name for f in fields(Rule)) - {"id", "hits"}


class Faults:
    """The rules, in the order in which they were added; the first that matches and strikes is used."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._next_id = 1
        self.clear()

    def clear(self) -> None:
        self._rules: list[Rule] = []
        self._random = random.Random(self._seed)

    def add(self, settings: dict[str, Any]) -> Rule:
        """Adds a rule from its JSON. Raises SettingsError."""
        unknown = set(settings) - _SETTABLE
        if unknown:
            raise SettingsError(f"unknown fault settings: {', '.join(sorted(unknown))}")
        if len(self._rules) >= RULES_MAX:
            raise SettingsError(f"more than {RULES_MAX} faults")
        rule = Rule(self._next_id, **settings)
        self._next_id += 1
        self._rules.append(rule)
        return rule

    def strike(
        self, operation: str, resource: str = "", deployment: str = "", custom_id: str | None = None
    ) -> Rule | None:
        """The rule that strikes this request, counted; None lets it pass."""
        for rule in self._rules:
            if not rule.matches(operation, resource, deployment, custom_id):
                continue
            if rule.after > 0:
                rule.after -= 1
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            rule.hits += 1
            if rule.times is not None:
                rule.times -= 1
            return rule
        return None

    def to_json(self) -> dict[str, Any]:
        return {"faults": [asdict(rule) for rule in self._rules], "count": len(self._rules)}


def replacement(rule: Rule) -> Reply:
    """The answer that a rule with `status`, `html` or `empty` gives in the model's place."""
    if rule.html:
        return Reply(rule.status or 502, {"content-type": "text/html"}, HTML_502)
    if rule.empty:
        return Reply(rule.status or 200, {"content-type": JSON})
    status = rule.status or 500
    body = rule.body.encode() if isinstance(rule.body, str) else orjson.dumps(rule.body or errors.body_for(status))
    headers = {"content-type": JSON}
    if status == 429:
        headers |= {"retry-after": "2", "retry-after-ms": "2000"}
    return Reply(status, headers, body)


def with_headers(rule: Rule, headers: dict[str, str]) -> dict[str, str]:
    """The answer's headers as the rule wants them."""
    wanted = {name.lower(): value for name, value in (rule.headers or {}).items()}
    kept = {name: value for name, value in headers.items() if name not in wanted}
    return kept | {name: value for name, value in wanted.items() if value is not None}


def alter(rule: Rule, reply: Reply, default_error: dict[str, Any]) -> None:
    """Changes what a reply contains: early ends, a lost `[DONE]`, an error event in mid-stream."""
    if reply.events is None:
        if rule.truncate and reply.file is not None:
            reply.file = replace(reply.file, size=reply.file.size // 2)
        elif rule.truncate:
            reply.body = reply.body[: len(reply.body) // 2]
        return
    events = reply.events
    if rule.drop_done and events[-1].data == SSE_DONE:
        events = events[:-1]
    if rule.truncate:
        kept = len(events) // 2 if rule.truncate is True else rule.truncate
        events = [event for event in events[:kept] if event.data != SSE_DONE]
        reply.broken = True
    if rule.error_event_after_events is not None:
        error = rule.body if isinstance(rule.body, dict) else default_error
        count = min(rule.error_event_after_events, len(events))
        events = [*events[:count], Event(reply.error_frame(error, count))]
        reply.broken = True
    reply.events = events
