"""A call's objects end with the call: none is left for the garbage collector, whose looks stop every other call."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

pytest_plugins = ("tests.operations.by_hand",)

CALLS = 20
ANSWER = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]}'
EVENTS = b'data: {"choices": [{"index": 0, "delta": {"content": "hello"}}]}\n\ndata: [DONE]\n\n'
EVENT_STREAM = {"content-type": "text/event-stream"}
TOO_MANY = b'{"error": {"code": "429", "message": "Please retry after 1 second."}}'


@contextmanager
def left_over() -> Iterator[Counter[str]]:
    """What the collector finds at the block's end, by type."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(type(one).__qualname__ for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def answered(request: httpx.Request) -> httpx.Response:
    if b'"stream":true' in request.content:
        return httpx.Response(200, headers=EVENT_STREAM, content=EVENTS)
    return httpx.Response(200, content=ANSWER)


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_a_call_leaves_nothing_to_the_collector(house: Callable[..., Any], stream: bool) -> None:
    home = house(answered, stored=True)
    for _ in range(2):  # what the first calls make stays
        await _call(home, stream)
    with left_over() as found:
        for _ in range(CALLS):
            await _call(home, stream)
    assert not {name: count for name, count in found.items() if count >= CALLS}


async def _call(home: Any, stream: bool) -> None:
    if stream:
        reply = await home.opened()
        await reply.run(home.write)
    else:
        await home.buffered()
    await asyncio.sleep(0)  # what was cancelled ends
    await asyncio.sleep(0)
