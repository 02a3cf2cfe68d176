"""What of a shard's range is written for its deployment."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import orjson
import pytest

from shared.batches import inputs
from shared.batches.document import Shard, key_of
from shared.batches.inputs import BadInput, Limits, Written, write
from shared.batches.lines import LINE_BYTES_MAX
from shared.batches.store import Picked
from tests.batches.world import line, names

DATA = b"\n".join(line(one) for one in names(5)) + b"\n"
ONE = len(line("task-0")) + 1


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 7):
        yield data[start : start + 7]


async def written(
    data: bytes = DATA, limits: Limits | None = None, picked: Picked | None = None, first: int = 0, start: int = 0
) -> tuple[Written, list[str]]:
    file = io.BytesIO()
    shard = Shard(key_of(first), first, start, start + len(data))
    limits = limits or Limits(split=True)
    found = await write(file, chunks(data), shard, picked, "dep", "chat/completions", limits)
    requests = [orjson.loads(one) for one in file.getvalue().splitlines()]
    assert {one["body"]["model"] for one in requests} <= {"dep"}
    assert found.bytes_count == len(file.getvalue())
    return found, [one["custom_id"] for one in requests]


async def test_a_whole_range_is_written() -> None:
    found, ids = await written()
    assert (ids, found.next_line, found.end) == (names(5), 5, len(DATA))
    assert [(custom_id, number) for custom_id, number, _ in found.asked] == list(zip(names(5), range(5), strict=True))


async def test_numbers_and_bytes_count_from_the_shards_own() -> None:
    found, _ = await written(first=100, start=5000)
    assert (found.next_line, found.end, found.asked[0][1]) == (105, 5000 + len(DATA), 100)


async def test_what_is_more_than_the_deployment_takes_is_left_for_another_shard() -> None:
    for limits in (Limits(split=True, lines=2), Limits(tokens=2 * (ONE + 10) // 4, split=True)):
        found, ids = await written(limits=limits)
        assert (ids, found.next_line, found.end) == (names(2), 2, 2 * ONE)
        rest, others = await written(DATA[found.end :], first=found.next_line, start=found.end)
        assert (ids + others, rest.next_line) == (names(5), 5)


async def test_one_request_is_written_however_little_room_there_is() -> None:
    assert (await written(limits=Limits(tokens=1, split=True)))[1] == ["task-0"]


async def test_what_may_not_be_split_is_refused() -> None:
    with pytest.raises(BadInput) as raised:
        await written(limits=Limits(lines=4))
    assert raised.value.errors[0]["code"] == "too_many_tasks"
    assert (await written(limits=Limits(lines=5)))[1] == names(5)


async def test_blank_lines_are_no_requests() -> None:
    found, ids = await written(b"\n  \n" + DATA + b"\r\n\n")
    assert (ids, found.next_line, found.end) == (names(5), 5, len(DATA) + 7)
    found, ids = await written(b"\n\n")
    assert (ids, found.asked, found.end) == ([], [], 2)


async def test_a_repair_writes_the_lines_that_are_meant() -> None:
    found, ids = await written(picked=Picked(0, bytes([0b10010])))
    assert (ids, [number for _, number, _ in found.asked]) == (["task-1", "task-4"], [1, 4])


async def test_a_bad_line_is_named_by_its_number_in_the_callers_file() -> None:
    with pytest.raises(BadInput) as raised:
        await written(DATA + b"{\n", first=10)
    assert raised.value.errors[0] | {"message": ""} == {
        "code": "invalid_json_line", "message": "", "param": None, "line": 16
    }  # fmt: skip


async def test_a_line_that_nobody_takes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LINE_BYTES_MAX", 1000)
    with pytest.raises(BadInput) as raised:
        await written(DATA + b"x" * 1001)
    assert (raised.value.errors[0]["code"], raised.value.errors[0]["line"]) == ("invalid_request", 6)
    assert LINE_BYTES_MAX == 16 * 1024 * 1024
