"""Which deployments serve a model name, which of them is asked now, and what is known of each on this instance."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from shared.config import Config
from shared.config.entry import Entry, Match
from shared.errors import BadRequest, ModelNotFound, NotFound, RateLimited, Replay, SpillwayError, Unavailable
from shared.routing import filters
from shared.routing.estimates import Demand
from shared.routing.filters import Asked, Kept
from shared.routing.limits import Grant, Limits
from shared.routing.pool import Pool
from shared.routing.retries import RetryBudget, kind_of
from shared.routing.selection import Chosen, Full, select
from shared.routing.state import DeploymentState
from shared.routing.strategies import strategy
from shared.upstream.deployment import Deployment

WILDCARD_DEPLOYMENTS_MAX = 500
WAITING_MAX = 1000
"""Calls of one instance that wait for room, where `max_wait_ms` lets them; more are answered 429 at once."""
FIRST_READ_S = 1.0
"""A call that an instance may not admit before it has read what the others use waits so long for that, once."""
READ_AGE_S_MAX = 70.0
"""What was read of the others so long ago has left every window since: it is read again before a call is admitted."""


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
        self.now = monotonic
        self.random = random
        settings = config.router_settings
        self._settings = settings
        self._strategy = strategy(settings.routing_strategy, settings.routing_strategy_args)
        self._budget = RetryBudget(settings.retry_budget_ratio, settings.retry_budget_min)
        # Deployments of wildcard entries come into being with the names that callers use: bounded, oldest use out.
        self._deployments: OrderedDict[tuple[Entry, str], Deployment] = OrderedDict()
        # Of the names that the file writes, and so bounded: each operation's deployments of each.
        self._able: dict[tuple[str, frozenset[str], frozenset[str], str], Pool] = {}
        self._fixed = sum(not entry.is_wildcard for entry in config.entries)
        self.states: dict[str, DeploymentState] = {}
        self.asked = 0
        self._waiting = 0
        self._calls = asyncio.Event()
        self.blind: Callable[[], bool] = lambda: False
        self._meet: Callable[[str, DeploymentState], None] = lambda id, state: None
        self._shares = False
        self._read_at = -math.inf
        self._unread: asyncio.Event | None = None
        self._unread_until = -math.inf

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names a caller can ask for, in the file's order; patterns such as `azure/*` are not names."""
        return tuple(name for name in self._config.model_names if "*" not in name)

    @property
    def offered(self) -> tuple[str, ...]:
        """The same with the patterns."""
        return tuple(self._config.model_names)

    def serves(self, model: str) -> bool:
        """Whether any deployment serves `model`."""
        return bool(self._config.matches(model))

    def group(self, model: str) -> list[Deployment]:
        """The deployments that serve `model`. Raises ModelNotFound, which lists names and patterns that exist."""
        matches = self._config.matches(model)
        if not matches:
            raise ModelNotFound(model, self._config.model_names)
        return [self._deployment(match) for match in matches]

    def candidates(self, model: str, modes: frozenset[str], providers: frozenset[str], operation: str = "") -> Pool:
        """The group's deployments that can do this kind of operation; of all deployments, perhaps none, when `model`
        is "". Where the models of some are known to serve `operation` (of shared.catalog), or may, it is these.
        Raises ModelNotFound or BadRequest."""
        known = self._able.get((model, modes, providers, operation))
        if known is not None:
            return known
        group = self.group(model) if model else self.every_deployment()
        able = Pool(one for one in group if one.provider in providers and (one.mode is None or one.mode in modes))
        if not able and model:
            kind = next((one.mode for one in group if one.mode is not None), "completion")
            raise BadRequest(
                f"The model `{model}` cannot do this operation: it is configured for {kind}.",
                param="model",
                code="model_not_supported",
            )
        if operation:
            able = Pool(one for one in able if one.capability.serves(operation)) or able
        if self._config.is_written(model):
            self._able[model, modes, providers, operation] = able
        return able

    def kept(self, candidates: Sequence[Deployment], asked: Asked, demand: Demand) -> Kept:
        """The candidates that this call may go to, by its tags, its region and its length. Raises BadRequest."""
        kept = Kept(candidates)
        settings = self._settings
        if settings.enable_tag_filtering:
            filters.by_tags(kept, asked.tags, match_any=settings.tag_filtering_match_any)
        if asked.region is not None:
            filters.by_region(kept, asked.region)
        if settings.enable_pre_call_checks:
            filters.by_context(kept, demand)
        return kept

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

    def reachable(self, candidates: Sequence[Deployment]) -> Deployment:
        """One of the candidates to ask for something that its limits do not count: not one that failed lately."""
        now = self.now()
        return min(candidates, key=lambda one: (self.state(one).failed_until > now, self.state(one).in_flight))

    def choose(self, candidates: Sequence[Deployment], demand: Demand) -> Chosen | Full:
        """The deployment to ask now, or why there is none. Changes nothing."""
        return select(candidates, self.state, demand, self.now(), self._strategy, self.random)

    def state(self, deployment: Deployment) -> DeploymentState:
        """What is known of the deployment here; two entries of one deployment share it. Of one that a caller brought
        nothing is: what it does to that caller is no word on another's."""
        known = self.states.get(deployment.id)
        if known is None:
            if deployment.of_client:
                return DeploymentState(Limits())
            known = self.states[deployment.id] = DeploymentState(
                Limits(deployment.tpm, deployment.rpm, deployment.max_parallel_requests)
            )
            if self._unread is not None:
                known.grant = Grant(0, 0, 0, self._unread_until)
            else:
                self._meet(deployment.id, known)
        return known

    @property
    def under_way(self) -> int:
        """Attempts under way on this instance."""
        return sum(state.in_flight for state in self.states.values())

    def failed(self, deployment: Deployment, failure: SpillwayError) -> None:
        """An attempt there failed. What refuses work is left alone as long as it says; what fails, after as many
        failures in a minute as are allowed, for its cool-down."""
        settings = self._settings
        if failure.replay is Replay.NEVER or settings.disable_cooldowns:
            return
        state, now = self.state(deployment), self.now()
        pause_s = deployment.cooldown_s if deployment.cooldown_s is not None else settings.cooldown_time
        if isinstance(failure, RateLimited):
            told = failure.retry_after_ms
            state.throttle(now + (pause_s if told is None else told / 1000))
            return
        if isinstance(failure, Unavailable) and failure.retry_after_ms is not None:
            state.failed_until = max(state.failed_until, now + failure.retry_after_ms / 1000)
            return
        state.fails.add(int(now), 1)
        allowed = settings.allowed_fails_policy.get(f"{kind_of(failure)}AllowedFails", self._allowed_fails(deployment))
        if state.fails.used > allowed:
            state.failed_until = max(state.failed_until, now + pause_s)

    def called(self) -> None:
        """A call begins."""
        now = self.now()
        self.asked += 1
        self._calls.set()
        self._budget.called(now)
        if self._shares and self._unread is None and now - self._read_at >= READ_AGE_S_MAX:
            self._unread, self._unread_until = asyncio.Event(), now + FIRST_READ_S
            for state in self.states.values():
                state.grant = Grant(0, 0, 0, self._unread_until)

    async def next_call(self) -> None:
        """Waits for a call that begins after this."""
        self._calls.clear()
        await self._calls.wait()

    def may_retry(self) -> bool:
        """Whether this instance may send something again that failed; it then counts."""
        return self._budget.take(self.now())

    def missed(self, candidates: Sequence[Deployment]) -> None:
        """A call found no room at any of these: what this instance wants there is more than what it sends."""
        now = self.now()
        for one in candidates:
            self.state(one).missed(now)

    def may_wait(self) -> bool:
        """Whether one more call may wait for room."""
        return self._waiting < WAITING_MAX

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """One call waits for room meanwhile."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def share_state(self, blind: Callable[[], bool], meet: Callable[[str, DeploymentState], None]) -> None:
        """Other instances may use the same deployments: where they were not read lately, a call waits for that,
        FIRST_READ_S at most.

        `blind` says whether what they use can no longer be had; `meet` puts what is known of it into a new state.
        """
        self.blind = blind
        self._meet = meet
        self._shares = True

    def was_read(self) -> None:
        """What the others use is known, or cannot be had: every state has its grant."""
        self._read_at = self.now()
        if self._unread is not None:
            self._unread.set()
            self._unread = None

    async def first_read(self) -> bool:
        """Waits until the others' figures were read, if that is still to come; False where it is not."""
        unread = self._unread
        if unread is None:
            return False
        try:
            async with asyncio.timeout(max(0.0, self._unread_until - self.now())):
                await unread.wait()
        except TimeoutError:
            self.was_read()
            for state in self.states.values():
                state.grant = Grant()
        return True

    def _allowed_fails(self, deployment: Deployment) -> int:
        """Failures in a minute before a deployment cools down; without a word in the file none."""
        if deployment.allowed_fails is not None:
            return deployment.allowed_fails
        return self._settings.allowed_fails or 0

    def _deployment(self, match: Match) -> Deployment:
        key = (match.entry, match.model.deployment)
        known = self._deployments.get(key)
        if known is None:
            known = self._deployments[key] = self._build(match)
            if len(self._deployments) > self._fixed + WILDCARD_DEPLOYMENTS_MAX:
                self._forget_oldest(key)
        elif match.entry.is_wildcard:
            self._deployments.move_to_end(key)
        return known

    def _forget_oldest(self, newest: tuple[Entry, str]) -> None:
        """Forgets the wildcard's deployment that was not asked for the longest, but none with calls under way; its
        state with it, unless another deployment has the same one."""
        for key, oldest in self._deployments.items():
            state = self.states.get(oldest.id)
            if not key[0].is_wildcard or key == newest or (state is not None and state.in_flight):
                continue
            del self._deployments[key]
            if all(one.id != oldest.id for one in self._deployments.values()):
                self.states.pop(oldest.id, None)
            return
