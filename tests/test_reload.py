"""A configuration that changes while calls are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from shared import config, reload
from shared import plan as plans
from shared.errors import ConfigError, StorageFailed
from shared.plan import Plan
from shared.reload import watch
from shared.settings import Settings
from shared.supervisor import Supervisor

ONE = config.from_environment({"AZURE_API_BASE": "https://r.openai.azure.com", "AZURE_API_KEY": "k"})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Health:
    configuration_problem: Callable[[], str | None] = staticmethod(lambda: None)


class House:
    """A gateway as far as a reload knows it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.supervisor = Supervisor()
        self.health: Any = Health()
        self.settings = plan.settings
        self.closed = False

    async def close(self) -> None:
        self.closed = True
        await self.supervisor.close()


class World:
    """What a look finds, one after the other; the last one for ever. An exception is raised, a name is a new plan."""

    def __init__(self) -> None:
        self.found: list[str | Exception | None] = []
        self.looked = 0
        self.houses: list[House] = []
        self.refuses: Exception | None = None

    def again(self) -> Plan | None:
        found = self.found[min(self.looked, len(self.found) - 1)]
        self.looked += 1
        if isinstance(found, Exception):
            raise found
        return None if found is None else self.plan(found)

    def plan(self, name: str, stream_total_s: float = 1000) -> Plan:
        return Plan(ONE, Settings(stream_total_s=stream_total_s), (name,), again=self.again)

    def take(self, plan: Plan) -> House:
        if self.refuses is not None:
            raise self.refuses
        self.houses.append(House(plan))
        return self.houses[-1]

    def start(self, *found: str | Exception | None, stream_total_s: float = 1000) -> House:
        self.found = list(found)
        plan = self.plan("first", stream_total_s)
        house = self.take(plan)
        watch(house, plan, self.take)
        return house

    @property
    def problem(self) -> str | None:
        found: str | None = self.houses[-1].health.configuration_problem()
        return found

    @property
    def serving(self) -> str:
        return self.houses[-1].plan.warnings[0]

    async def looks(self, count: int) -> None:
        """Waits until the blob was looked at so often, and what was found is dealt with."""
        await until(lambda: self.looked >= count)
        await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.houses[-1].close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(reload, "RELOAD_S", 0.002)
    monkeypatch.setattr(plans, "_in_use", [])
    return World()


async def test_what_has_not_changed_changes_nothing(world: World) -> None:
    world.start(None)
    await world.looks(3)
    assert (world.serving, len(world.houses), world.problem) == ("first", 1, None)
    await world.close()


async def test_what_has_changed_serves_and_the_former_one_lives_on(world: World) -> None:
    former = world.start(None, "second", None)
    await world.looks(4)
    assert world.serving == plans.check().warnings[0] == "second"
    assert not former.closed
    await world.close()
    assert former.closed


async def test_the_next_change_is_seen_too(world: World) -> None:
    world.start("second", "third", None)
    await world.looks(4)
    assert world.serving == "third"
    await world.close()
    assert all(house.closed for house in world.houses)


async def test_only_one_looks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    former = world.start("second", None)
    await world.looks(5)
    assert [task.get_name() for task in former.supervisor._tasks] == ["configuration"]
    looked = world.looked
    await world.houses[-1].supervisor.close()
    await asyncio.sleep(0.02)
    assert world.looked <= looked + 1
    await former.close()


async def test_the_former_one_is_closed_when_its_longest_call_can_have_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "GRACE_S", 0.01)
    former = world.start("second", None, stream_total_s=0.01)
    await world.looks(2)
    await until(lambda: former.closed)
    assert not world.houses[-1].closed
    await world.close()


async def test_a_wrong_one_is_not_taken_up_and_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.start(ConfigError(["model_list[0]: is wrong", "model_list[1]: too"]), None)
    await world.looks(4)
    assert (world.serving, world.problem) == ("first", "model_list[0]: is wrong; model_list[1]: too")
    assert len([line for line in caplog.messages if "the last good one stays" in line]) == 1
    await world.close()


async def test_a_mended_one_is_taken_up(world: World) -> None:
    world.start(ConfigError(["is wrong"]), None, "mended", None)
    await world.looks(5)
    assert (world.serving, world.problem) == ("mended", None)
    await world.close()


async def test_storage_without_an_answer_is_a_problem_until_it_has_one(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    failure = StorageFailed("The storage account answered 503")
    world.start(failure)
    await world.looks(2)
    assert "503" in (world.problem or "")
    world.found = [None]
    await world.looks(world.looked + 2)
    assert (world.serving, world.problem) == ("first", None)
    assert len(caplog.messages) == 1
    await world.close()


async def test_a_wrong_one_stays_a_problem_while_storage_comes_and_goes(world: World) -> None:
    world.start(ConfigError(["is wrong"]), StorageFailed("down"), None)
    await world.looks(5)
    assert world.problem == "is wrong"
    await world.close()


async def test_what_nobody_expected_is_logged_and_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.start(ValueError("odd"), "second", None)
    await world.looks(3)
    assert world.serving == "second"
    assert "the changed configuration could not be read" in caplog.messages
    await world.close()


async def test_a_gateway_that_cannot_be_built_is_not_taken_up(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.start(None, "second", None)
    world.refuses = RuntimeError("odd")
    await world.looks(4)
    assert (world.serving, world.problem) == ("first", "RuntimeError, see the log")
    await world.close()


async def test_not_more_than_so_many_wait_for_their_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "FORMER_MAX", 2)
    world.start("second", "third", "fourth")
    await world.looks(2)
    await asyncio.sleep(0.05)
    assert (world.serving, world.looked) == ("third", 2)
    await world.close()


async def test_a_file_is_not_looked_at_again() -> None:
    plan = Plan(ONE, Settings())
    house = House(plan)
    watch(house, plan, House)
    assert house.supervisor._tasks == set()
