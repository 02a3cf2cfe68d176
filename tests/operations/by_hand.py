"""A gateway without a server: its upstream is a function, its requests are made by hand.

A plugin of the tests beside it, which take the fixture `house`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import orjson
import pytest
from starlette.requests import Request

from shared import config
from shared.gateway import Gateway, Plan
from shared.operations.reply import BufferedReply, Reply, StreamedReply
from shared.operations.table import CHAT_COMPLETIONS
from shared.settings import Settings
from shared.spend.entry import Entry, fold
from shared.spend.places import LEDGER_TABLE
from shared.spend.records import entries_of
from shared.storage.account import Account
from tests.httpx_wire import Upstream
from tests.memory_table import MemoryTable
from tests.told import without_told

KEY = "sk-master"
AUTHORIZED = {"authorization": f"Bearer {KEY}"}
TWO_DEPLOYMENTS = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/a, api_base: "https://a.openai.azure.com", api_key: key-a, order: 1, %s}
    model_info: {id: east, mode: chat}
  - model_name: gpt-4o
    litellm_params: {model: azure/b, api_base: "https://b.openai.azure.com", api_key: key-b, order: 2, %s}
    model_info: {id: west, mode: chat}
general_settings: {%s}
"""
Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class House:
    """A gateway for `gpt-4o` on two deployments, a and then b, whose answers `handler` gives. `stored`: its storage
    account's tables are in memory."""

    def __init__(
        self,
        handler: Handler,
        *,
        general: str = "",
        params: str = "",
        text: str = "",
        stored: bool = False,
        **settings: Any,
    ) -> None:
        self.asked: list[httpx.Request] = []
        self.written = b""
        self.left = asyncio.Event()
        self._handler = handler
        self._records: list[str] = []
        text = text or TWO_DEPLOYMENTS % (params, params, general)
        storage = Account("UseDevelopmentStorage=true") if stored else None
        plan = Plan(config.parse(text, {"SPILLWAY_MASTER_KEY": KEY}), Settings(**settings), storage=storage)
        self.tables: dict[str, MemoryTable] = {}
        self.gateway = Gateway(plan, transport=Upstream(self._answer), make_table=self._table)
        self._log = _Keeper(self._records)
        self._logger = logging.getLogger("spillway")
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self._log)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        response = self._handler(request)
        return await response if inspect.isawaitable(response) else response

    def _table(self, account: Account, name: str) -> MemoryTable:
        return self.tables.setdefault(name, MemoryTable())

    @property
    def entries(self) -> list[Entry]:
        """What the ledger's table says of every attempt, in the order of their ids."""
        rows = [row for row in self.tables[LEDGER_TABLE].all if row.partition[0].isdigit()]
        return list(fold(entry for row in rows for entry in entries_of(row)).values())

    async def close(self) -> None:
        await self.gateway.close()
        self._logger.removeHandler(self._log)
        self._logger.setLevel(self._level)

    def limit_tasks(self, tasks_max: int) -> None:
        """Lets the gateway have only so many tasks more."""
        supervisor = self.gateway.supervisor
        supervisor.tasks_max = len(supervisor) + tasks_max

    def request(self, body: Any, path: str, method: str, headers: dict[str, str] | None) -> Request:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        messages: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            if messages:
                return messages.pop()
            await self.left.wait()
            return {"type": "http.disconnect"}

        sent = AUTHORIZED if headers is None else headers
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        return Request(scope, receive)

    async def ask(
        self, body: Any = b"", path: str = "", method: str = "POST", headers: dict[str, str] | None = None
    ) -> Reply:
        """The reply to a request by its path; to chat on its own path when there is none."""
        request = self.request(body, path or "/v1/chat/completions", method, headers)
        if path:
            return await self.gateway.serve_path(request)
        return await self.gateway.serve(CHAT_COMPLETIONS, request)

    async def chat(self, **more: Any) -> Reply:
        return await self.ask({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **more})

    async def buffered(self, **more: Any) -> BufferedReply:
        reply = await self.chat(**more)
        assert isinstance(reply, BufferedReply)
        return reply

    async def opened(self, **more: Any) -> StreamedReply:
        reply = await self.chat(stream=True, **more)
        assert isinstance(reply, StreamedReply), reply
        return reply

    async def write(self, data: bytes) -> None:
        self.written += data

    async def streamed(self, **more: Any) -> bytes:
        """Everything that a streamed call writes but its closing comment."""
        reply = await self.opened(**more)
        await asyncio.wait_for(reply.run(self.write), 5)
        return without_told(self.written)

    async def leave(self) -> None:
        """The client closes its connection."""
        self.left.set()
        for _ in range(3):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - what is waited for knows no event
                await asyncio.sleep(0.001)

    async def rest(self) -> None:
        """Waits until nothing of any call is left."""
        await self.until(lambda: not len(self.gateway.supervisor) and not self.in_flight)

    @property
    def hosts(self) -> list[str]:
        """The deployments that were asked, in order."""
        return [request.url.host[0] for request in self.asked]

    @property
    def in_flight(self) -> int:
        router = self.gateway.router
        return sum(router.state(one).in_flight for one in router.group("gpt-4o"))

    @property
    def records(self) -> list[dict[str, Any]]:
        return [orjson.loads(line[5:]) for line in self._records if line.startswith("call {")]

    @property
    def record(self) -> dict[str, Any]:
        """The record of the only call."""
        assert len(self.records) == 1
        return self.records[0]


class _Keeper(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


@pytest.fixture
async def house() -> AsyncIterator[Callable[..., House]]:
    """`house(handler, general=..., params=..., **settings)` makes a House, which is closed after the test."""
    made: list[House] = []

    def make(handler: Handler, **more: Any) -> House:
        made.append(House(handler, **more))
        return made[-1]

    yield make
    for one in made:
        await one.close()
