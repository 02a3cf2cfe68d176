"""The composition root: builds the parts once per event loop, and serves a request with them.

    handler → serve → caller → operation parses → router chooses → upstream sends → usage is read → bytes out

Functions gives an async start and no stop: `check` runs when the app is indexed and stops the start when the
configuration is wrong; `current` builds on the first request of a loop; correctness never needs a clean end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable
from functools import partial
from typing import cast
from weakref import WeakKeyDictionary

from starlette.requests import Request

from shared import reload
from shared.admin.books import Books
from shared.admin.doctor import Doctor
from shared.batches import wired
from shared.callers.caller import ANONYMOUS, Caller, Callers
from shared.callers.key_store import TABLE as KEYS_TABLE
from shared.callers.keys import keys_of
from shared.config import Entry
from shared.config import Match as ConfigMatch
from shared.errors import Forbidden, InternalError, SpillwayError, Unavailable
from shared.files.files import files_of
from shared.ids import CallIds, instance_id
from shared.jobs.tuning import Workshop
from shared.operations import key_sweep, minutely
from shared.operations.accounting import Account, LateSettle
from shared.operations.background import TABLE, Background
from shared.operations.context import Context, Parts
from shared.operations.exchanged import exchanged
from shared.operations.health import Health
from shared.operations.intake import Intake
from shared.operations.metrics import readings
from shared.operations.operation import Operation
from shared.operations.reply import BufferedReply, Reply
from shared.operations.responses_polled import ResponsePoll
from shared.operations.speech_store import SpeechStore, container
from shared.operations.spellings import Match, Spellings
from shared.operations.table import OPERATIONS
from shared.plan import Plan as Plan
from shared.plan import check as check
from shared.plan import read_plan as read_plan
from shared.plan import use as use
from shared.routing import peers
from shared.routing.peers import Peers
from shared.routing.router import Router
from shared.seal import Seal, Sealer, tag
from shared.spend.ledger import Ledger, Mode
from shared.spend.places import LEDGER_TABLE, SPEND_TABLE
from shared.storage.account import Account as StorageAccount
from shared.storage.tables import AzureTable, Table
from shared.supervisor import Supervisor
from shared.telemetry import CallRecord, call_refused
from shared.telemetry.telemetry import Telemetry
from shared.upstream.client import UpstreamClient
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry
from shared.upstream.signin import SignIns
from shared.upstream.transport import create_transport
from shared.upstream.wire import Transport

log = logging.getLogger("spillway")

TASKS_PER_CALL_MAX = 6
"""Its client's watch, its opening or work, a drain, a keep-alive, the tail of its stream, a recording."""
FLUSH_S = 2.0
"""An end in good order waits so long for the ledger."""


class Gateway:
    """The parts of one event loop, wired. Tests replace `transport` by a function, and tables by some in memory."""

    def __init__(
        self,
        plan: Plan,
        *,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = os.urandom,
        make_table: Callable[[StorageAccount, str], Table] = AzureTable,
        telemetry: Telemetry | None = None,
    ) -> None:
        config, settings = plan.config, plan.settings
        self._clock = clock
        self.config = config
        self.settings = settings
        self.supervisor = Supervisor(TASKS_PER_CALL_MAX * settings.calls_max + 1000)
        self.sealer = Sealer(settings.id_secrets(config.master_key))
        self.upstream = UpstreamClient(
            transport or create_transport(settings.connections_max),
            lambda: transport or create_transport(settings.connections_max, public_only=True),
        )
        self.sign_ins = SignIns(self.supervisor, clock)
        self.router = Router(config, self._deployment, time.monotonic, random.random)
        self.call_ids = CallIds(instance_id(random_bytes), clock)
        self.spellings = Spellings(OPERATIONS)
        account = plan.storage

        def table(name: str) -> Table | None:
            return None if account is None else make_table(account, name)

        self.keys = keys_of(table(KEYS_TABLE), config, self.supervisor, clock, self.call_ids.instance, random_bytes)
        known = self.keys.known if self.keys else None
        self.callers = Callers(config.master_key, settings.allow_anonymous, clock, known)
        self.books = Books(table(LEDGER_TABLE), table(SPEND_TABLE), clock)
        self.ledger = Ledger(
            self.books.ledger, self.books.spend, self.call_ids.instance, self.supervisor, clock,
            mode=cast(Mode, settings.ledger), interval_s=settings.ledger_interval_ms / 1000,
        )  # fmt: skip
        gauges = partial(readings, self.router, self.ledger, lambda: self._under_way)
        self.telemetry = telemetry or Telemetry(self.call_ids.instance, gauges, opentelemetry=plan.opentelemetry)
        self.telemetry.readings = gauges
        self.health = Health(
            self.router.every_deployment,
            self.router.group,
            self._has_room,
            self.upstream,
            self.supervisor,
            self.call_ids.next,
            lambda asked, free: Account(self.ledger, asked, clock, free=free),
            lambda: self.router.blind(),
            listener=self.telemetry.heard,
        )
        retention_days = config.general_settings.speech_retention_days
        self.speech = SpeechStore(container(plan.storage), self.supervisor, clock, retention_days, random_bytes)
        self.background = Background(table(TABLE), self.supervisor, clock, self.telemetry.heard)
        usage = table(peers.TABLE)
        self.peers = None if usage is None else Peers(usage, self.router, self.call_ids.instance, clock)
        self._sharing = False
        everywhere, next_id = self.router.every_deployment, self.call_ids.next
        self.files = files_of(account, self.supervisor, clock, random_bytes, self.upstream, next_id, everywhere)
        ways = self.upstream, self.call_ids, self.supervisor, clock, random_bytes
        workshop = Workshop(self.router, self.files, *ways, config, self.keys)
        self.tuning = workshop.tuning(table(TABLE), self.books.ledger)
        self._intake = Intake(
            config,
            settings,
            self.router,
            self.upstream,
            self.supervisor,
            self.background,
            self.ledger,
            clock,
            self.files,
            self.keys,
            self._seal,
            self._release,
        )
        self.doctor = Doctor(plan, self._pairs, self.upstream, self.supervisor, self.call_ids.next, clock)
        links = self.files, self.router, self.upstream, self.call_ids, self.sealer
        self.batches = wired.batches(table(wired.TABLE), self.books.ledger, *links, config, self.keys)
        parts = self.speech, self.books, self.files, self.keys, self.telemetry, self.doctor, self.batches, self.tuning
        self._parts = Parts(self.router, self.health, *parts)
        self._under_way: int = 0
        self._turns = minutely.Turns("keys", "files", "notes")

    async def serve(self, operation: Operation, request: Request) -> Reply:
        """The reply to a request on the operation's own path. Never raises for what a client or Azure does."""
        return await self._served(lambda: Match(operation, dict(request.path_params)), request)

    async def serve_path(self, request: Request) -> Reply:
        """The reply to a request on any other path: the operation it spells, or an OpenAI-style 404 or 405."""
        path = request.path_params.get("path") or request.url.path
        return await self._served(lambda: self.spellings.match(request.method, path), request)

    async def sweep(self) -> None:
        """What the timer does once a minute. Raises what went wrong when everything was tried."""
        poll = ResponsePoll(self.router, self.upstream, self.call_ids.next)
        late = LateSettle(self.ledger, poll.price, self._clock)
        jobs: minutely.Jobs = {
            "ledger": lambda: self.books.sweep(time.monotonic, self.settings.ledger_days),
            "background responses": lambda: self.background.sweep(poll, late),
            "files": self.files.sweep,
            "speech": self.speech.sweep_hourly,
            "keys": lambda: key_sweep.run(self.keys, self.books.ledger),
            "notes": lambda: key_sweep.clean(self.keys),
        }
        await self.supervisor.start(minutely.run(self._turns.of(jobs)), "timer")

    async def close(self) -> None:
        """Ends everything that runs; for hosts and tests that end in good order."""
        await self.ledger.flush(FLUSH_S)
        await self.supervisor.close()
        rest = (self.files, self.batches, self.tuning, self.peers, self.keys)
        for part in (self.upstream, self.sign_ins, self.speech, self.background, self.books, *rest):
            if part is not None:
                await part.close()

    async def _served(self, find: Callable[[], Match], request: Request) -> Reply:
        call_id = self.call_ids.next()
        record = CallRecord(call_id, operation="unknown", caller="unknown")
        self.telemetry.began(record, request.headers)
        started = time.monotonic()
        reply: Reply
        try:
            match = find()
            record.operation = match.operation.name
            reply = await self._answer(match, request, record)
        except SpillwayError as error:
            reply = _error_reply(error)
            call_refused(record, error.status, error.code, time.monotonic() - started)
        except Exception as error:
            log.exception("call %s failed", call_id)
            failure = InternalError("The gateway failed. Its log names the reason under this call's id.")
            failure.__cause__ = error
            reply = _error_reply(failure)
            call_refused(record, failure.status, failure.code, time.monotonic() - started)
        reply.headers.setdefault("x-request-id", reply.headers.get("apim-request-id", call_id))
        reply.headers["x-spillway-call-id"] = call_id
        return reply

    async def _answer(self, match: Match, request: Request, record: CallRecord) -> Reply:
        operation = match.operation
        caller = ANONYMOUS if operation.open else await self.callers.identify(request.headers)
        record.caller, record.key_alias = caller.key_id, caller.key_alias
        if operation.master and not caller.is_master:
            raise Forbidden("Only the master key may ask for this.")
        if operation.serve is not None:
            seal = self._seal(caller)
            return await operation.serve(Context(self._parts, caller, seal, match.params, request, record))
        if operation.explains is not None:
            return await self._intake.explained(operation.explains, caller, match, request, record)
        assert operation.proxied is not None
        self._share()
        if not self._has_room():
            raise Unavailable("Too many calls are under way on this instance.", retry_after_ms=1000)
        self._under_way += 1
        try:
            exchange = await self._intake.exchange(operation, operation.proxied, caller, match, request, record)
        except BaseException:
            self._release()
            raise
        return await exchanged(exchange, request, self.supervisor, self.speech)

    def _share(self) -> None:
        """Begins to share usage with the other instances, with the first call."""
        if self.peers is not None and not self._sharing:
            self._sharing = True
            self.supervisor.keep(self.peers.run, "usage sharing")

    def _deployment(self, match: ConfigMatch) -> Deployment:
        endpoint, _ = of_entry(match.entry)
        scope = match.entry.azure_scope or endpoint.scope or ""
        bearer = endpoint.provider == "openai"
        return deployment_of(match, endpoint, self.sign_ins.credential(match.entry.credentials, scope, bearer=bearer))

    def _pairs(self) -> list[tuple[Entry, Deployment]]:
        return list(zip(self.config.entries, self.router.every_deployment(), strict=True))

    def _seal(self, caller: Caller) -> Seal:
        return Seal(self.sealer, tag(caller.key_id), caller.is_master)

    def _has_room(self) -> bool:
        return self._under_way < self.settings.calls_max

    def _release(self) -> None:
        self._under_way -= 1


_gateways: WeakKeyDictionary[asyncio.AbstractEventLoop, Gateway] = WeakKeyDictionary()


def current() -> Gateway:
    """The gateway of the running event loop, built on its first use; building awaits nothing, so it happens once."""
    gateway = _gateways.get(asyncio.get_running_loop())
    if gateway is None:
        gateway = _renew(check())
        reload.watch(gateway, check(), _renew)
    return gateway


def _renew(plan: Plan) -> Gateway:
    """Builds the gateway that the running loop's calls go to from now on; it counts on where a former one did."""
    loop = asyncio.get_running_loop()
    former = _gateways.get(loop)
    gateway = _gateways[loop] = Gateway(plan, telemetry=former.telemetry if former else None)
    return gateway


async def close_current() -> None:
    """Closes the running loop's gateway, if it has one; Functions never calls this, hosts and tests do."""
    gateway = _gateways.pop(asyncio.get_running_loop(), None)
    if gateway is not None:
        await gateway.close()


def _error_reply(error: SpillwayError) -> BufferedReply:
    return BufferedReply(error.status, error.body(), error.headers())
