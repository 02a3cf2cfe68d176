"""From a request to its Exchange: read, taken apart, parsed, and given the deployments that it may go to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request

from shared.callers.caller import Caller
from shared.callers.keys import Keys
from shared.callers.purses import Ticket
from shared.config import Config
from shared.errors import Replay
from shared.files.files import Files
from shared.files.identity import Owner
from shared.operations import asked as routing
from shared.operations.accounting import Account
from shared.operations.allowed import placed, rerouted
from shared.operations.attached import attached
from shared.operations.background import Background
from shared.operations.body import read_form, read_json
from shared.operations.client_credentials import Brought, taken
from shared.operations.demand import demand_of
from shared.operations.exchange import Exchange
from shared.operations.explain import drop_unfit, explained
from shared.operations.operation import FREE, Call, Incoming, Operation, Proxied
from shared.operations.reply import BufferedReply
from shared.operations.spellings import Match
from shared.routing.attempts import Rules
from shared.routing.estimates import OUTPUT_DEFAULT, Demand
from shared.routing.fallbacks import Fallbacks
from shared.routing.filters import Asked, Kept
from shared.routing.pool import pool_of
from shared.routing.router import Router
from shared.seal import Seal
from shared.settings import Settings
from shared.spend.entry import Entry
from shared.spend.ledger import Ledger
from shared.supervisor import Supervisor
from shared.telemetry import CallRecord
from shared.upstream.client import UpstreamClient
from shared.upstream.content import FormFile, close_files
from shared.upstream.deployment import Deployment
from shared.usage.pictures import GPT_4O, rule_of

BODY_BYTES_MAX = 20 * 1024 * 1024
"""A JSON request, unless general_settings.max_request_size_mb says otherwise: Azure takes images of up to 20 MB."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What calls are made of, on one event loop. `seal` makes a caller's seal, `on_close` hears of each call's end."""

    config: Config
    settings: Settings
    router: Router
    client: UpstreamClient
    supervisor: Supervisor
    background: Background
    ledger: Ledger
    clock: Callable[[], float]
    files: Files
    keys: Keys | None
    seal: Callable[[Caller], Seal]
    on_close: Callable[[], None]

    async def exchange(
        self, operation: Operation, proxied: Proxied, caller: Caller, match: Match, request: Request, record: CallRecord
    ) -> Exchange:
        """The call of a request, with all that serving it needs. Raises SpillwayError; nothing was sent yet."""
        body, files = await self._read(proxied, request)
        try:
            body, brought = taken(body)
            body, asked = routing.taken(body, request.headers)
            seal = self.seal(caller)
            query = tuple(request.query_params.multi_items()) if request.scope["query_string"] else ()
            call = proxied.parse(Incoming(record.call_id, caller, match.model, body, seal, files, match.params, query))
            call, asked = placed(self.router, call), rerouted(self.router, caller, asked)
            record.model, record.stream = call.model, call.stream
            named = await attached(self.files, Owner(caller.key_id, caller.is_master), call.body, proxied.files)
            candidates = self._candidates(proxied, call, brought)
            _count_pictures(call, candidates)
            estimated = proxied.estimate(call)
            demand = demand_of(proxied, call, estimated)
            candidates = pool_of(self._kept(call, candidates, asked, demand).deployments)
        except BaseException:
            close_files(files)
            raise
        ticket = await self._ticket(proxied, call, demand, candidates)
        free = call.model and call.resource is None and brought is None
        general = self.config.general_settings
        return Exchange(
            call=call,
            name=operation.name,
            operation=proxied,
            candidates=candidates,
            router=self.router,
            client=self.client,
            supervisor=self.supervisor,
            settings=self.settings,
            record=record,
            drain_s=general.disconnect_drain_s,
            keepalive_s=general.keepalive_s,
            rules=self._rules(call, proxied, asked),
            demand=demand,
            estimated=estimated,
            account=self._account(operation.name, proxied, call, asked.tags, ticket),
            fallbacks=self._fallbacks(call.model, proxied, asked, demand) if free else None,
            background=self.background,
            copies=self.files.copies,
            attached=named,
            on_close=partial(self._closed, record, ticket),
        )

    async def explained(
        self, proxied: Proxied, caller: Caller, match: Match, request: Request, record: CallRecord
    ) -> BufferedReply:
        """Where a call of this operation would go. Raises SpillwayError."""
        body, brought = taken(await read_json(request, self._bytes_max(proxied)))
        body, asked = routing.taken(body, request.headers)
        call = proxied.parse(Incoming(record.call_id, caller, match.model, body, self.seal(caller)))
        record.model = call.model
        candidates = self._candidates(proxied, call, brought)
        _count_pictures(call, candidates)
        demand = demand_of(proxied, call, proxied.estimate(call))
        kept = self._kept(call, candidates, asked, demand)
        drop_unfit(kept, proxied, call, _known_as(proxied))
        return explained(self.router, call.model, candidates, kept, demand)

    async def _ticket(
        self, proxied: Proxied, call: Call, demand: Demand, candidates: Sequence[Deployment]
    ) -> Ticket | None:
        """What a virtual key's limits let in, of the most that a candidate may count. Raises RateLimited."""
        key = call.caller.key
        if key is None or self.keys is None or proxied.billing_unit == FREE:
            return None
        there = (
            demand
            if demand.differs is None
            else max((demand.at(one) for one in candidates), key=_usual, default=demand)
        )
        open_ended = demand.output and demand.output_max is None
        try:
            return await self.keys.purses.admit(key, _usual(there), open_ended=open_ended)
        except BaseException:
            close_files(call.files)
            raise

    def _closed(self, record: CallRecord, ticket: Ticket | None) -> None:
        if ticket is not None:
            ticket.close(record.prompt_tokens + record.completion_tokens)
        self.on_close()

    def _account(
        self, operation: str, proxied: Proxied, call: Call, tags: Sequence[str], ticket: Ticket | None
    ) -> Account:
        key = call.caller.key
        asked = Entry(
            entry_id="",
            operation=operation,
            key_id=call.caller.key_id,
            key_alias=call.caller.key_alias,
            model=call.model,
            started_at=0.0,
            tags=tuple(tags) if key is None else tuple(dict.fromkeys((*tags, *key.tags))),
            stream=call.stream,
        )
        return Account(self.ledger, asked, self.clock, ticket, free=proxied.billing_unit == FREE)

    def _candidates(self, proxied: Proxied, call: Call, brought: Brought | None = None) -> Sequence[Deployment]:
        """The deployments that can do the call, at its own resource where it is bound to one. Raises SpillwayError."""
        known_as = "" if call.resource is not None else _known_as(proxied)
        able: Sequence[Deployment] = self.router.candidates(call.model, proxied.modes, proxied.providers, known_as)
        if brought is not None:
            able = brought.applied(able)
        return able if call.resource is None else self.router.bound(able, call.resource, call.model)

    def _kept(self, call: Call, candidates: Sequence[Deployment], asked: Asked, demand: Demand) -> Kept:
        """Those that its tags, region and length let it go to; a call that is bound to its resource goes there."""
        return Kept(candidates) if call.resource is not None else self.router.kept(candidates, asked, demand)

    async def _read(self, proxied: Proxied, request: Request) -> tuple[dict[str, Any], tuple[FormFile, ...]]:
        if proxied.body == "form":
            body, files = await read_form(request, self._bytes_max(proxied))
            return routing.from_form(body), files
        return (await read_json(request, self._bytes_max(proxied)) if proxied.body == "json" else {}), ()

    def _bytes_max(self, proxied: Proxied) -> int:
        return proxied.body_bytes_max or self.config.general_settings.body_bytes_max or BODY_BYTES_MAX

    def _fallbacks(self, model: str, proxied: Proxied, asked: Asked, demand: Demand) -> Fallbacks:
        def find(name: str) -> Sequence[Deployment]:
            able = self.router.candidates(name, proxied.modes, proxied.providers, _known_as(proxied))
            return self.router.kept(able, asked, demand).deployments

        return Fallbacks(self.config, model, asked, find)

    def _rules(self, call: Call, proxied: Proxied, asked: Asked) -> Rules:
        config, settings = self.config, self.config.router_settings
        policy = settings.model_group_retry_policy.get(call.model, settings.retry_policy)
        replay = proxied.replay if settings.spill_on_5xx else proxied.replay - {Replay.FAILED, Replay.BROKEN}
        if call.body.get("background") is True:  # it goes on without its connection
            replay -= {Replay.BROKEN}
        return Rules(
            retries=config.num_retries if asked.num_retries is None else asked.num_retries,
            again=config.says_num_retries or asked.num_retries is not None or bool(policy),
            policy=policy,
            replay=replay,
            max_wait_s=settings.max_wait_ms / 1000,
        )


def _count_pictures(call: Call, candidates: Sequence[Deployment]) -> None:
    """Images are counted by the first candidate's rule; where another's differs, the demand there does."""
    call.pictures.rule = rule_of(candidates[0].known_model) if candidates else GPT_4O


def _usual(demand: Demand) -> int:
    """Tokens of a call; an answer that may be of any length is taken for a usual one."""
    return demand.prompt + (OUTPUT_DEFAULT if demand.output_max is None else demand.output_max) * demand.output


def _known_as(proxied: Proxied) -> str:
    """The operation's name in shared.catalog."""
    return proxied.catalog or proxied.upstream_path.replace("/", "_")
