"""Other models that answer a call which its own could not: `fallbacks` and its kin, of the file or of the request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared.config import Config
from shared.errors import BadRequest, ContentFiltered, ContextLengthExceeded, NotFound, Replay, SpillwayError
from shared.routing.filters import Asked
from shared.upstream.deployment import Deployment

Find = Callable[[str], Sequence[Deployment]]
"""The deployments of a model that can do the call's operation. Raises ModelNotFound or BadRequest."""


@dataclass(slots=True)
class Fallbacks:
    """The models still to be tried for one call, each once.

    A prompt that is too long, or that the filter refused, goes to what is configured for that; with nothing
    configured it goes nowhere, as the same request gets the same answer. What may never be sent again goes nowhere
    either. Anything else goes to `fallbacks`.
    """

    config: Config
    model: str
    asked: Asked
    find: Find
    _seen: set[str] = field(default_factory=set)

    def after(self, failure: SpillwayError) -> tuple[str, Sequence[Deployment]] | None:
        """The next model and its deployments, None when there is none for this kind of failure."""
        self._seen.add(self.model)
        for name in self._names(failure):
            if name in self._seen or len(self._seen) > self.config.router_settings.max_fallbacks:
                continue
            self._seen.add(name)
            try:
                return name, self.find(name)
            except (BadRequest, NotFound):  # it cannot do this operation
                continue
        return None

    def _names(self, failure: SpillwayError) -> Sequence[str]:
        if self.asked.fallbacks == ():  # the call wants none, of whatever kind
            return ()
        if isinstance(failure, ContextLengthExceeded):
            return self.config.context_window_fallbacks_for(self.model)
        if isinstance(failure, ContentFiltered):
            return self.config.content_policy_fallbacks_for(self.model)
        if failure.replay is Replay.NEVER:
            return ()
        return self.config.fallbacks_for(self.model) if self.asked.fallbacks is None else self.asked.fallbacks
