"""What bounds a deployment: the limits of its entry, this instance's grant of them, and a refusal in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.routing.state import DeploymentState


LATE_S = 0.5
"""A read may be so late before an instance goes on without it; sooner, each would admit what the others already did."""


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
    """What this instance may still admit until it reads the others' figures again; infinite where it is alone.

    `until` is when the next read is due. `renew` gives the grant that follows where that read is late, LATE_S later;
    without it nothing more is admitted.
    """

    tokens: float = math.inf
    minute: float = math.inf
    burst: float = math.inf
    until: float = math.inf
    renew: Callable[[DeploymentState, float], Grant] | None = None

    @property
    def renewable_at(self) -> float:
        """When the read is so late that the grant is dealt anew without it."""
        return self.until + LATE_S

    def admits(self, tokens: int, used: int) -> bool:
        """Whether a call of about `tokens` is in it; where nothing is `used` yet, also one that is larger than all."""
        return self.minute >= 1 and self.burst >= 1 and (tokens <= self.tokens or not used)
