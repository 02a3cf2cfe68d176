"""Stable and fresh identities (DESIGN §3). Pure: day, instance and randomness come in as arguments.

resource_id    which Azure OpenAI resource: hash of the endpoint's host and path prefix
deployment_id  which deployment in it: hash of (resource_id, deployment), never of credentials
instance_id    one worker start: fresh and random
call_id        one call: day, instance, sequence
entry_id       one attempt of a call: call_id.attempt
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime

_CALL_ID = re.compile(r"call_(\d{8})_([0-9a-f]{12})_([0-9a-z]+)")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
DAY_S = 86_400


def resource_id(endpoint_identity: str) -> str:
    """`res_` and 16 hex digits of the endpoint's lower-case host and path prefix; the host cannot be read back."""
    return "res_" + hashlib.sha256(endpoint_identity.encode()).hexdigest()[:16]


def deployment_id(resource: str, deployment: str) -> str:
    """`dep_` and 16 hex digits: the same deployment keeps its id when its key rotates or its entry is renamed."""
    return "dep_" + hashlib.sha256(f"{resource}\n{deployment}".encode()).hexdigest()[:16]


def instance_id(random_bytes: Callable[[int], bytes]) -> str:
    """12 hex digits, new at every worker start; `random_bytes` is `os.urandom` in production."""
    return random_bytes(6).hex()


def call_id(day: str, instance: str, sequence: int) -> str:
    """`call_{yyyymmdd}_{instance}_{sequence in base 36}`."""
    return f"call_{day}_{instance}_{_base36(sequence)}"


def parse_call_id(value: str) -> tuple[str, str, int] | None:
    """(day, instance, sequence) of a call id, None when it is none of ours."""
    match = _CALL_ID.fullmatch(value)
    return (match[1], match[2], int(match[3], 36)) if match else None


def entry_id(call: str, attempt: int) -> str:
    """`call_id.attempt`, attempts counted from 1."""
    return f"{call}.{attempt}"


class CallIds:
    """Hands out the call ids of one instance, in order."""

    def __init__(self, instance: str, clock: Callable[[], float]) -> None:
        self.instance = instance
        self._clock = clock
        self._sequence = itertools.count(1)
        self._day = (-1, "")

    def next(self) -> str:
        """A new call id under today's day (UTC)."""
        number = int(self._clock() // DAY_S)
        if self._day[0] != number:
            self._day = number, datetime.fromtimestamp(number * DAY_S, UTC).strftime("%Y%m%d")
        return call_id(self._day[1], self.instance, next(self._sequence))


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if number == 0:
            return digits
