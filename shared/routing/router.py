"""Which deployments serve a model name, and in which order they are tried now."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

from shared.config import Config
from shared.config.entry import Entry, Match
from shared.errors import BadRequest, ModelNotFound, NotFound
from shared.upstream.deployment import Deployment

COOLDOWN_MS = 5_000
"""LiteLLM's default `cooldown_time`, where a refusal does not say how long it lasts."""
WILDCARD_DEPLOYMENTS_MAX = 500
COOLING_MAX = 1000
"""Cool-downs remembered before those that have passed are forgotten."""
_LAST = 1 << 30


class Router:
    """The deployments of one configuration, with what is known of them on this instance.

    `build` makes a Deployment of an entry. `monotonic` is a clock in seconds, `random` gives [0, 1).
    """

    def __init__(
        self,
        config: Config,
        build: Callable[[Match], Deployment],
        monotonic: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._config = config
        self._build = build
        self._monotonic = monotonic
        self._random = random
        # Deployments of wildcard entries come into being with the names that callers use: bounded, oldest use out.
        self._deployments: OrderedDict[tuple[Entry, str], Deployment] = OrderedDict()
        self._fixed = sum(not entry.is_wildcard for entry in config.entries)
        self._in_flight: Counter[str] = Counter()
        self._cooling_until: dict[str, float] = {}

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names a caller can ask for, in the file's order; patterns such as `azure/*` are not names."""
        return tuple(name for name in self._config.model_names if "*" not in name)

    def group(self, model: str) -> list[Deployment]:
        """The deployments that serve `model`. Raises ModelNotFound, which lists names and patterns that exist."""
        matches = self._config.matches(model)
        if not matches:
            raise ModelNotFound(model, self._config.model_names)
        return [self._deployment(match) for match in matches]

    def candidates(self, model: str, modes: frozenset[str], providers: frozenset[str]) -> list[Deployment]:
        """The group's deployments that can do this kind of operation; of all deployments, perhaps none, when `model`
        is "". Raises ModelNotFound or BadRequest."""
        group = self.group(model) if model else self.every_deployment()
        able = [one for one in group if one.provider in providers and (one.mode is None or one.mode in modes)]
        if not able and model:
            kind = next((one.mode for one in group if one.mode is not None), "completion")
            raise BadRequest(
                f"The model `{model}` cannot do this operation: it is configured for {kind}.",
                param="model",
                code="model_not_supported",
            )
        return able

    def bound(self, candidates: Sequence[Deployment], resource: bytes, model: str) -> list[Deployment]:
        """Those of the candidates for `model` that are of the resource with this tag. Raises BadRequest, NotFound."""
        found = [one for one in candidates if one.resource_tag == resource]
        if found:
            return found
        if model and any(one.resource_tag == resource for one in self.every_deployment()):
            raise BadRequest(
                f"The request carries an id or encrypted content of a resource that does not serve `{model}`.",
                param="model",
                code="model_not_at_resource",
            )
        raise NotFound("What the id stands for was made by a resource that is no longer configured here.")

    def every_deployment(self) -> list[Deployment]:
        """One for each entry; of a wildcard entry one named `*`, which is enough to reach its resource."""
        return list(dict.fromkeys(self._deployment(Match(entry, entry.model)) for entry in self._config.entries))

    def in_order(self, candidates: Sequence[Deployment]) -> list[Deployment]:
        """The candidates in the order to try: cooling ones last, then `order`, then the least busy for its weight."""
        now = self._monotonic()

        def rank(one: Deployment) -> tuple[bool, int, float, float]:
            cooling = self._cooling_until.get(one.id, 0.0) > now
            return cooling, _LAST if one.order is None else one.order, self._load(one), self._random()

        return sorted(candidates, key=rank)

    def begin(self, deployment: Deployment) -> None:
        """An attempt is under way there."""
        self._in_flight[deployment.id] += 1

    def end(self, deployment: Deployment) -> None:
        """An attempt begun before has ended."""
        self._in_flight[deployment.id] -= 1
        if self._in_flight[deployment.id] <= 0:
            del self._in_flight[deployment.id]

    def in_flight(self, deployment: Deployment) -> int:
        """Attempts under way there."""
        return self._in_flight[deployment.id]

    def cool(self, deployment: Deployment, retry_after_ms: int | None) -> None:
        """The deployment refused work: others come first for so long."""
        if len(self._cooling_until) >= COOLING_MAX:
            now = self._monotonic()
            self._cooling_until = {one: until for one, until in self._cooling_until.items() if until > now}
        wait_ms = COOLDOWN_MS if retry_after_ms is None else retry_after_ms
        self._cooling_until[deployment.id] = self._monotonic() + wait_ms / 1000

    def _load(self, deployment: Deployment) -> float:
        if deployment.weight == 0:
            return math.inf
        return (self._in_flight[deployment.id] + 1) / deployment.weight

    def _deployment(self, match: Match) -> Deployment:
        key = (match.entry, match.model.deployment)
        known = self._deployments.get(key)
        if known is None:
            known = self._deployments[key] = self._build(match)
            if len(self._deployments) > self._fixed + WILDCARD_DEPLOYMENTS_MAX:
                self._forget_oldest()
        elif match.entry.is_wildcard:
            self._deployments.move_to_end(key)
        return known

    def _forget_oldest(self) -> None:
        key, oldest = next(item for item in self._deployments.items() if item[0][0].is_wildcard)
        del self._deployments[key]
        self._cooling_until.pop(oldest.id, None)
