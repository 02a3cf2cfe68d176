"""What each resource keeps of its spoken chat answers: that they exist, until when, and their tokens."""

from __future__ import annotations

from collections import OrderedDict

from devtools.simulator.answers import Spoken

KEPT_MAX = 10_000


class AudioStore:
    """The spoken answers of all resources, by id: when each expires (unix seconds), and its tokens."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def clear(self) -> None:
        self._kept.clear()

    def put(self, resource: str, spoken: Spoken) -> None:
        self._kept[resource, spoken.id] = (spoken.expires_at, spoken.tokens)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    def tokens(self, resource: str, audio_id: str, time: float) -> int | None:
        """The tokens of an answer; None when this resource does not have it, or no longer."""
        expires_at, tokens = self._kept.get((resource, audio_id), (0.0, 0))
        return tokens if time < expires_at else None
