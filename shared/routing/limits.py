"""What bounds a deployment: the limits of its entry, this instance's grant of them, and a refusal in words. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a deployment is not asked now: words for an error, and when (seconds of the clock) that may be over."""

    why: str
    until: float


@dataclass(slots=True)
class Limits:
    """Per minute, None where nobody said; `parallel` calls under way at a time."""

    tpm: int | None = None
    rpm: int | None = None
    parallel: int | None = None


@dataclass(slots=True)
class Grant:
    """What this instance may still admit until it reads the others' figures again; infinite where it is alone."""

    tokens: float = math.inf
    minute: float = math.inf
    burst: float = math.inf
    until: float = math.inf
