from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from shared.operations.connection import ClientConnection
from shared.supervisor import Supervisor


class Asgi:
    """The messages of one client, as an ASGI server hands them over."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self.supervisor = Supervisor()
        self.connection = ClientConnection(self.messages.get, self.supervisor)

    async def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def asgi() -> Asgi:
    return Asgi()


async def test_a_client_is_there_until_it_leaves(asgi: Asgi) -> None:
    before = asgi.connection.gone
    await asgi.leave()
    assert (before, asgi.connection.gone) == (False, True)


async def test_other_messages_are_no_disconnect(asgi: Asgi) -> None:
    asgi.messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    await asyncio.sleep(0.001)
    gone = asgi.connection.gone
    asgi.connection.stop()
    assert not gone


async def test_who_asked_is_told_once_when_the_client_leaves(asgi: Asgi) -> None:
    told: list[str] = []
    asgi.connection.when_gone(lambda: told.append("gone"))
    await asgi.leave()
    assert told == ["gone"]


async def test_who_asks_late_is_told_at_once(asgi: Asgi) -> None:
    await asgi.leave()
    told: list[str] = []
    asgi.connection.when_gone(lambda: told.append("gone"))
    assert told == ["gone"]


async def test_nobody_is_told_after_the_end(asgi: Asgi) -> None:
    told: list[str] = []
    asgi.connection.when_gone(lambda: told.append("gone"))
    asgi.connection.stop()
    await asgi.leave()
    assert told == []


async def test_stopping_leaves_no_task(asgi: Asgi) -> None:
    await asyncio.sleep(0)
    asgi.connection.stop()
    await asyncio.sleep(0.001)
    assert len(asgi.supervisor) == 0


async def test_a_client_outlasts_work_that_ends(asgi: Asgi) -> None:
    work = asyncio.create_task(asyncio.sleep(0.005))
    outlasted = await asgi.connection.outlasts(work, 5)
    asgi.connection.stop()
    assert outlasted


async def test_a_client_that_leaves_does_not_outlast_the_work(asgi: Asgi) -> None:
    work = asyncio.create_task(asyncio.sleep(10))
    waiting = asyncio.create_task(asgi.connection.outlasts(work, 5))
    await asyncio.sleep(0)
    await asgi.leave()
    outlasted = await waiting
    still_running = not work.done()
    work.cancel()
    assert (outlasted, still_running) == (False, True)


async def test_waiting_is_bounded_and_leaves_the_work_running(asgi: Asgi) -> None:
    work = asyncio.create_task(asyncio.sleep(10))
    outlasted = await asgi.connection.outlasts(work, 0.01)
    still_running = not work.done()
    asgi.connection.stop()
    work.cancel()
    assert (outlasted, still_running) == (False, True)


async def test_a_client_that_has_left_already_is_not_waited_for(asgi: Asgi) -> None:
    await asgi.leave()
    work = asyncio.create_task(asyncio.sleep(10))
    outlasted = await asyncio.wait_for(asgi.connection.outlasts(work, 10), 1)
    work.cancel()
    assert not outlasted


async def test_work_that_failed_has_ended(asgi: Asgi) -> None:
    async def failing() -> None:
        raise ValueError

    work = asyncio.create_task(failing())
    outlasted = await asgi.connection.outlasts(work, 5)
    asgi.connection.stop()
    assert outlasted
    assert isinstance(work.exception(), ValueError)
