"""The clients of an audit: most read their answer to its end, some leave in its middle."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from devtools.audit.mix import Asked

KEY = "sk-bench"
TIMEOUT_S = 60.0


@dataclass(slots=True)
class Seen:
    """What the clients saw. `answered` are the ids of calls of whose answer a byte, and be it of its head, reached
    their client, `statuses` those of the calls whose client stayed; 0 stands for a connection that broke. `buffered`
    are calls whose answer said so."""

    answered: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    left: int = 0
    buffered: set[str] = field(default_factory=set)


async def ask_all(
    asked: Sequence[Asked],
    urls: Callable[[], Sequence[str]],
    *,
    at_once: int,
    leaving: float = 0.0,
    seed: int = 0,
    pause_s: float = 0.0,
) -> Seen:
    """Asks everything, at most `at_once` at a time, each of a host that `urls` has then.

    A share `leaving` of the clients goes before the end of the answer.
    """
    chance = random.Random(seed)
    seen = Seen()
    gate = asyncio.Semaphore(at_once)
    connector = aiohttp.TCPConnector(limit=0, force_close=False)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def one(call: Asked, url: str, stays: bool, after_s: float) -> None:
            try:
                await _ask(session, call, url, seen, None if stays else after_s)
            finally:
                gate.release()

        tasks = []
        for call in asked:
            await gate.acquire()
            stays = chance.random() >= leaving
            seen.kinds[call.kind] += 1
            tasks.append(
                asyncio.create_task(one(call, chance.choice(urls()), stays, chance.choice((0.002, 0.01, 0.05))))
            )
            if pause_s:
                await asyncio.sleep(pause_s)
        await asyncio.gather(*tasks)
    return seen


async def _ask(session: aiohttp.ClientSession, call: Asked, url: str, seen: Seen, leaves_s: float | None) -> None:
    """One call; its client leaves so many seconds after the head of a stream, or after asking for a whole answer."""
    headers = {"authorization": f"Bearer {KEY}", "x-litellm-tags": call.kind}
    if leaves_s is not None:
        headers["connection"] = "close"
    try:
        async with asyncio.timeout(None if leaves_s is None or call.streams else leaves_s) as patience:
            async with session.post(url + call.path, headers=headers, **_content(call)) as answer:
                if answer.headers.get("x-spillway-ledger") == "buffered":
                    seen.buffered.add(answer.headers["x-spillway-call-id"])
                if call.streams and leaves_s is not None:
                    patience.reschedule(asyncio.get_running_loop().time() + leaves_s)
                seen.answered.add(answer.headers["x-spillway-call-id"])
                async for _ in answer.content.iter_any():
                    pass
                seen.statuses[answer.status] += 1
    except TimeoutError:
        seen.left += 1
    except (aiohttp.ClientError, OSError):
        seen.statuses[0] += 1


def _content(call: Asked) -> dict[str, Any]:
    if not call.files:
        return {"json": dict(call.body)}
    form = aiohttp.FormData()
    for name, value in call.body.items():
        form.add_field(name, str(value))
    for name, (filename, content, media_type) in call.files.items():
        form.add_field(name, content, filename=filename, content_type=media_type)
    return {"data": form}
