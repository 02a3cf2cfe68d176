"""One structured log line per call, without content; formatted only when somebody listens."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

import orjson

log = logging.getLogger("spillway")


@dataclass(slots=True)
class CallRecord:
    """What is told of one call when it has ended. Times in milliseconds, tokens as the upstream counted them.

    `outcome`: `ok`, `error`, `disconnected` (the client left; usage is what was drained), `broken` (the upstream
    broke after data had been sent). Tokens and `cost_usd` are those of all attempts, as the ledger has them; a cost
    that is not known is None. `usage_source`: `upstream`, `estimated` or `none`. `owned`: an exchange has the record
    and writes it when it closes.
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


def call_ended(record: CallRecord) -> None:
    """Writes the record as one JSON line at INFO."""
    if log.isEnabledFor(logging.INFO):
        log.info("call %s", orjson.dumps({k: v for k, v in asdict(record).items() if k != "owned"}).decode())


def call_refused(record: CallRecord, status: int, code: str | None, seconds: float) -> None:
    """Writes the record of a call that ended before it had an exchange; an exchange writes its own."""
    if record.owned:
        return
    record.status, record.code, record.outcome = status, code, "error"
    record.duration_ms = round(seconds * 1000, 3)
    call_ended(record)
