"""Every request that reached the simulator, so that a test can tell what was sent, or that nothing was."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from typing import Any

from devtools.simulator.exchange import Request

REQUESTS_MAX = 10_000
BODY_BYTES_KEPT = 64 * 1024
TOTAL_BYTES_KEPT = 128 * 1024 * 1024
SECRET_HEADERS = frozenset({"api-key", "authorization", "x-identity-header", "ocp-apim-subscription-key"})


@dataclass(slots=True)
class Record:
    """One request and what became of it. `status` is None until the answer starts, or when it never did."""

    seq: int
    time: float
    request: Request
    body: bytes
    resource: str = ""
    deployment: str = ""
    operation: str = ""
    status: int | None = None
    bytes_sent: int = 0
    disconnected: bool = False
    fault: int | None = None

    def to_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "seq": self.seq,
            "time": self.time,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": {name: redacted(name, value) for name, value in request.headers.items()},
            "body": self.body.decode("utf-8", "replace"),
            "body_truncated": len(self.body) == BODY_BYTES_KEPT,
            "resource": self.resource,
            "deployment": self.deployment,
            "operation": self.operation,
            "status": self.status,
            "bytes_sent": self.bytes_sent,
            "disconnected": self.disconnected,
            "fault": self.fault,
        }


def redacted(name: str, value: str) -> str:
    """A header's value, or `sha256:<12 hex digits>` of it when it is a secret."""
    if name not in SECRET_HEADERS:
        return value
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:12]


class Recorder:
    """The last REQUESTS_MAX requests, with the first 64 KiB of each body and 128 MiB of bodies at most."""

    def __init__(self) -> None:
        self.records: deque[Record] = deque()
        self._bytes = 0
        self._seq = 0

    def add(self, request: Request, time: float) -> Record:
        self._seq += 1
        record = Record(self._seq, time, request, request.body[:BODY_BYTES_KEPT])
        self.records.append(record)
        self._bytes += len(record.body)
        while len(self.records) > REQUESTS_MAX or self._bytes > TOTAL_BYTES_KEPT:
            self._bytes -= len(self.records.popleft().body)
        return record

    def clear(self) -> None:
        self.records.clear()
        self._bytes = 0

    def to_json(self) -> dict[str, Any]:
        return {"requests": [record.to_json() for record in self.records], "count": len(self.records)}
