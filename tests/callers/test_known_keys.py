from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from shared.callers import known_keys
from shared.callers.caller import Callers
from shared.callers.known_keys import FRESH_S, LAST_S, PAUSE_S, STALE_S, KnownKeys
from shared.callers.virtual_key import VirtualKey, hash_of
from shared.errors import Forbidden, StorageFailed, Unauthorized
from shared.supervisor import Supervisor

KEY = VirtualKey("key_1", "h", "sk-...", 0.0, 0.0, alias="team")


class Desk:
    """A table that is asked for keys, a clock, and what is known of them."""

    def __init__(self) -> None:
        self.at = 0.0
        self.has: dict[str, VirtualKey] = {"h": KEY}
        self.fails = False
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None
        self.supervisor = Supervisor()
        self.known = KnownKeys(self.find, self.supervisor, lambda: self.at)

    async def find(self, hash: str, known: VirtualKey | None) -> VirtualKey | None:
        self.asked.append(hash)
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise StorageFailed("down")
        return self.has.get(hash)

    async def rest(self) -> None:
        """Lets what was begun end."""
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    await made.supervisor.close()


@pytest.fixture(params=[True, False], ids=["hangs", "fails"])
def outage(desk: Desk, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """`outage()` lets storage answer no more, or never."""

    def begin() -> None:
        desk.fails = True
        if request.param:
            monkeypatch.setattr(known_keys, "WAIT_KNOWN_S", 0.01)
            monkeypatch.setattr(known_keys, "WAIT_UNKNOWN_S", 0.01)
            desk.gate = asyncio.Event()

    return begin


@pytest.mark.parametrize("hash", ["h", "unknown"])
async def test_a_key_is_read_once_while_it_is_fresh(desk: Desk, hash: str) -> None:
    assert [await desk.known.get(hash) for _ in range(3)] == [desk.has.get(hash)] * 3
    assert desk.asked == [hash]


async def test_a_key_in_use_is_read_again_meanwhile(desk: Desk) -> None:
    await desk.known.get("h")
    desk.at, desk.gate = FRESH_S, asyncio.Event()
    assert await desk.known.get("h") is KEY
    assert await desk.known.get("h") is KEY
    await desk.rest()
    assert desk.asked == ["h", "h"]


async def test_a_change_is_known_within_five_seconds(desk: Desk) -> None:
    await desk.known.get("h")
    desk.has = {}
    desk.at = STALE_S
    assert STALE_S + 0.5 < 5
    assert await desk.known.get("h") is None


async def test_a_new_key_is_known_within_five_seconds(desk: Desk) -> None:
    assert await desk.known.get("new") is None
    desk.has["new"] = KEY
    desk.at = STALE_S
    assert await desk.known.get("new") is KEY


async def test_a_change_made_here_is_known_at_once(desk: Desk) -> None:
    await desk.known.get("h")
    desk.has = {}
    desk.known.forget("h")
    assert await desk.known.get("h") is None


async def test_what_was_read_before_a_change_is_not_kept(desk: Desk) -> None:
    desk.gate = asyncio.Event()
    asking = asyncio.create_task(desk.known.get("h"))
    await desk.rest()
    desk.known.forget("h")
    desk.has = {}
    desk.gate.set()
    assert await asking is None
    assert desk.asked == ["h", "h"]


async def test_a_hundred_callers_read_once(desk: Desk) -> None:
    desk.gate = asyncio.Event()
    asking = [asyncio.create_task(desk.known.get("h")) for _ in range(100)]
    await desk.rest()
    desk.gate.set()
    assert await asyncio.gather(*asking) == [KEY] * 100
    assert desk.asked == ["h"]


async def test_in_an_outage_a_known_key_serves_for_a_while(desk: Desk, outage: Callable[[], None]) -> None:
    await desk.known.get("h")
    outage()
    for desk.at in (STALE_S, 60.0, LAST_S - 1):
        assert await desk.known.get("h") is KEY
    desk.at = LAST_S
    with pytest.raises(StorageFailed):
        await desk.known.get("h")


async def test_in_an_outage_a_known_key_is_not_waited_for_each_time(desk: Desk) -> None:
    await desk.known.get("h")
    desk.fails, desk.at = True, STALE_S
    for _ in range(10):
        await desk.known.get("h")
    assert len(desk.asked) == 2
    desk.at += PAUSE_S
    await desk.known.get("h")
    assert len(desk.asked) == 3


async def test_in_an_outage_an_unknown_key_is_no_401(desk: Desk, outage: Callable[[], None]) -> None:
    outage()
    with pytest.raises(StorageFailed) as raised:
        await desk.known.get("other")
    assert (raised.value.status, raised.value.should_retry) == (503, True)


async def test_in_an_outage_nobody_is_told_that_a_key_which_was_unknown_still_is(desk: Desk) -> None:
    await desk.known.get("new")
    desk.fails, desk.at = True, STALE_S
    with pytest.raises(StorageFailed):
        await desk.known.get("new")


async def test_after_an_outage_a_key_is_what_its_row_says(desk: Desk) -> None:
    await desk.known.get("h")
    desk.fails, desk.at = True, 60.0
    await desk.known.get("h")
    desk.fails, desk.has = False, {}
    desk.at += PAUSE_S
    assert await desk.known.get("h") is None


async def test_memory_is_bounded_and_unknown_keys_push_out_no_known_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys, "KEYS_MAX", 3)
    await desk.known.get("h")
    for number in range(10):
        await desk.known.get(f"unknown-{number}")
    desk.asked.clear()
    await desk.known.get("h")
    await desk.known.get("unknown-9")
    assert desk.asked == []
    await desk.known.get("unknown-0")
    assert desk.asked == ["unknown-0"]


async def test_of_unknown_keys_only_so_many_are_read_at_once_and_the_next_wait_for_their_turn(desk: Desk) -> None:
    desk.known = KnownKeys(desk.find, desk.supervisor, lambda: desk.at, reads_max=2, turns_max=3)
    await desk.known.get("h")
    desk.gate = asyncio.Event()
    asking = [asyncio.create_task(desk.known.get(f"unknown-{number}")) for number in range(6)]
    await desk.rest()
    with pytest.raises(StorageFailed):
        await asking[5]
    desk.at = FRESH_S
    await desk.known.get("h")
    await desk.rest()
    assert desk.asked == ["h", "unknown-0", "unknown-1", "h"]
    desk.gate.set()
    assert await asyncio.gather(*asking[:5]) == [None] * 5
    assert desk.asked[4:] == ["unknown-2", "unknown-3", "unknown-4"]


async def test_a_key_that_waited_for_its_turn_is_as_old_as_its_read(desk: Desk) -> None:
    desk.known = KnownKeys(desk.find, desk.supervisor, lambda: desk.at, reads_max=1)
    desk.gate = asyncio.Event()
    asking = [asyncio.create_task(desk.known.get(hash)) for hash in ("first", "h")]
    await desk.rest()
    desk.at = STALE_S
    desk.gate.set()
    assert await asking[1] is KEY
    assert await desk.known.get("h") is KEY
    assert desk.asked.count("h") == 1
    assert await asking[0] is None


async def test_a_thousand_keys_that_come_at_once_are_all_read(desk: Desk) -> None:
    desk.has = {str(number): KEY for number in range(1000)}
    desk.gate = asyncio.Event()
    asking = [asyncio.create_task(desk.known.get(hash)) for hash in desk.has]
    await desk.rest()
    assert len(desk.asked) == known_keys.READS_MAX
    desk.gate.set()
    assert await asyncio.gather(*asking) == [KEY] * 1000


async def test_a_key_is_waited_for_while_storage_is_silent_for_some_seconds(desk: Desk) -> None:
    desk.gate = asyncio.Event()
    asyncio.get_running_loop().call_later(3.5, desk.gate.set)
    assert await desk.known.get("h") is KEY


SECRET = "sk-a-virtual-key"


def callers(desk: Desk, **what: object) -> Callers:
    from dataclasses import replace

    desk.has = {hash_of(SECRET): replace(KEY, **what)}  # type: ignore[arg-type]
    return Callers("sk-master", allow_anonymous=False, clock=lambda: 100.0, keys=desk.known)


async def test_a_virtual_keys_holder_is_told_by_its_id(desk: Desk) -> None:
    caller = await callers(desk).identify({"api-key": SECRET})
    assert (caller.key_id, caller.key_alias, caller.is_master) == ("key_1", "team", False)


async def test_the_master_key_is_asked_of_nobody(desk: Desk) -> None:
    assert (await callers(desk).identify({"api-key": "sk-master"})).is_master
    assert desk.asked == []


async def test_a_blocked_key_is_a_403(desk: Desk) -> None:
    with pytest.raises(Forbidden) as raised:
        await callers(desk, blocked=True).identify({"api-key": SECRET})
    assert raised.value.code == "key_blocked"


async def test_an_expired_key_is_a_401(desk: Desk) -> None:
    assert await callers(desk, expires_at=100.1).identify({"api-key": SECRET})
    desk.known.forget(hash_of(SECRET))
    with pytest.raises(Unauthorized) as raised:
        await callers(desk, expires_at=100.0).identify({"api-key": SECRET})
    assert raised.value.code == "expired_api_key"


async def test_what_cannot_be_a_key_is_asked_of_nobody(desk: Desk) -> None:
    with pytest.raises(Unauthorized):
        await callers(desk).identify({"api-key": "no-key-at-all"})
    assert desk.asked == []
