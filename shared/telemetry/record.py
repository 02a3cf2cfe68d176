"""What is told of one call when it has ended, and to whom: one line of the log, without content, and a listener."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

log = logging.getLogger("spillway")

PROMPT_CHARS_MAX = 8192
_PROMPTS = ("messages", "input", "prompt", "instructions")
"""Fields of a request that hold what its caller wrote."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt of a call. `code` None is a good one; `throttled`: the deployment said that it is full."""

    deployment: str
    deployment_id: str
    code: str | None = None
    throttled: bool = False


@dataclass(slots=True)
class CallRecord:
    """What is told of one call when it has ended. Times in milliseconds, tokens as the upstream counted them.

    `outcome`: `ok`, `error`, `disconnected` (the client left; usage is what was drained), `broken` (the upstream
    broke after data had been sent). Tokens and `cost_usd` are those of all attempts, as the ledger has them; a cost
    that is not known is None. `usage_source`: `upstream`, `estimated` or `none`. `spilled`: a deployment
    answered because one before it was full. `owned`: an exchange has the record and writes it when it closes. `late`:
    the usage of a call that was told of before. `tried` are its attempts in order; `listener` is given the record when
    it is written.
    """

    call_id: str
    operation: str
    caller: str
    model: str = ""
    deployment: str = ""
    deployment_id: str = ""
    stream: bool = False
    attempts: int = 0
    status: int = 0
    code: str | None = None
    outcome: str = "ok"
    duration_ms: float = 0.0
    first_byte_ms: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    usage_source: str = "none"
    cost_usd: float | None = None
    owned: bool = False
    key_alias: str = ""
    provider: str = ""
    response_model: str = ""
    spilled: bool = False
    late: bool = False
    tried: tuple[Tried, ...] = ()
    listener: Listener | None = None


Listener = Callable[[CallRecord], None]
"""Called once per record, on the event loop's thread, when the call has ended; quick. What it raises is logged."""

_WRITTEN = tuple(field.name for field in fields(CallRecord) if field.name not in {"owned", "tried", "listener"})


def call_ended(record: CallRecord) -> None:
    """Writes the record as one JSON line at INFO, and gives it to its listener."""
    if log.isEnabledFor(logging.INFO):
        log.info("call %s", orjson.dumps({name: getattr(record, name) for name in _WRITTEN}).decode())
    if record.listener is not None:
        try:
            record.listener(record)
        except Exception:  # whoever ends a call has more to do than to tell of it
            log.exception("call %s could not be told of", record.call_id)


def call_refused(record: CallRecord, status: int, code: str | None, seconds: float) -> None:
    """Writes the record of a call that ended before it had an exchange; an exchange writes its own."""
    if record.owned:
        return
    record.status, record.code, record.outcome = status, code, "error"
    record.duration_ms = round(seconds * 1000, 3)
    call_ended(record)


def call_asked(call_id: str, body: Mapping[str, Any]) -> None:
    """Writes what the caller wrote, cut to PROMPT_CHARS_MAX characters; only where the operator has asked for it."""
    if log.isEnabledFor(logging.INFO):
        try:
            written = orjson.dumps({name: body[name] for name in _PROMPTS if name in body}, default=str).decode()
        except orjson.JSONEncodeError:  # nested too deeply
            written = "cannot be written"
        log.info("prompt of %s %s", call_id, written[:PROMPT_CHARS_MAX])
