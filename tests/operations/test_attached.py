"""Where bodies name files, and where replies do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from shared import sealed_ids
from shared.errors import BadRequest, NotFound
from shared.operations import responses_ids
from shared.operations.attached import CHAT_FILES, FILES_MAX, RESPONSE_FILES, attached, learn, learning
from shared.operations.operation import Call
from shared.seal import Seal, Sealer
from tests.files.resources import EAST, WEST
from tests.files.world import ANN, BEN, World
from tests.files.world import world as world


def parts(*file_ids: str) -> list[dict[str, Any]]:
    return [{"type": "input_file", "file_id": one} for one in file_ids]


async def test_every_place_of_a_response_that_names_a_file_is_known(world: World) -> None:
    ids = [(await world.keep()).id for _ in range(5)]
    body = {
        "input": [
            {"role": "user", "content": [*parts(ids[0]), {"type": "input_text", "text": ids[4]}]},
            {"type": "function_call_output", "output": parts(ids[1])},
            {"type": "computer_call_output", "output": {"type": "computer_screenshot", "file_id": ids[2]}},
            {"type": "message", "content": "text"},
        ],
        "tools": [
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [ids[3], ids[0]]}},
            "odd",
            {"type": "shell", "environment": {"type": "container_auto", "file_ids": [ids[3]]}},
        ],
    }
    named = await attached(world.files, ANN, body, RESPONSE_FILES)
    assert named is not None
    placed = await named.placed(body, EAST)
    upstream = {one: await world.files.copies.at(await world.store.find(ANN, one), EAST) for one in ids[:4]}
    assert placed["input"][0]["content"] == [*parts(upstream[ids[0]]), {"type": "input_text", "text": ids[4]}]
    assert placed["input"][1]["output"] == parts(upstream[ids[1]])
    assert placed["input"][2]["output"]["file_id"] == upstream[ids[2]]
    assert placed["tools"][0]["container"]["file_ids"] == [upstream[ids[3]], upstream[ids[0]]]
    assert placed["tools"][2]["environment"]["file_ids"] == [upstream[ids[3]]]
    assert body["input"][0]["content"][0]["file_id"] == ids[0]  # type: ignore[index]
    assert len(world.resources.at(EAST)) == 4


async def test_each_resource_is_told_its_own_ids(world: World) -> None:
    file = await world.keep()
    body = {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": file.id}}]}]}
    named = await attached(world.files, ANN, body, CHAT_FILES)
    assert named is not None
    for one in (EAST, WEST):
        placed = await named.placed(body, one)
        assert [placed["messages"][0]["content"][0]["file"]["file_id"]] == world.resources.at(one)


@pytest.mark.parametrize("body", [{}, {"input": "text"}, {"input": [5, None, {"content": [None, {"file_id": 7}]}]}])
async def test_a_body_that_names_no_file_has_none(world: World, body: dict[str, Any]) -> None:
    assert await attached(world.files, ANN, body, RESPONSE_FILES) is None
    assert await attached(world.files, ANN, {"input": [{"content": parts("x")}]}, None) is None


async def test_a_file_of_somebody_else_is_not_found(world: World) -> None:
    body = {"input": [{"content": parts((await world.keep()).id)}]}
    with pytest.raises(NotFound) as caught:
        await attached(world.files, BEN, body, RESPONSE_FILES)
    assert caught.value.param == "input[0].content[0].file_id"


async def test_a_request_names_only_so_many_files(world: World) -> None:
    body = {"input": [{"content": parts(*(f"file-{number}" for number in range(FILES_MAX + 1)))}]}
    with pytest.raises(BadRequest):
        await attached(world.files, ANN, body, RESPONSE_FILES)


async def test_a_reply_names_files_as_the_caller_does(world: World) -> None:
    file = await world.keep()
    upstream_id = await world.files.copies.at(file, EAST)
    other = world.another()
    resource = EAST.resource_tag
    seal = Seal(Sealer(["secret"]), b"owner---")
    caller: Any = None
    call = Call(
        "call",
        caller,
        "m",
        {},
        False,
        seal,
        resource=resource,
        file_of=lambda one: other.copies.original(resource, one),
    )
    citation = {"type": "file_citation", "file_id": upstream_id, "filename": "a.jsonl"}
    inside = {"type": "container_file_citation", "container_id": "cntr_1", "file_id": "cfile_1"}
    payload: dict[str, Any] = {
        "id": "resp_1",
        "output": [{"type": "message", "content": [{"type": "output_text", "annotations": [citation, inside]}]}],
        "tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [upstream_id]}}],
    }
    await learn(other.copies, sealed_ids.RESPONSE, resource, payload)
    assert responses_ids.seal(call, payload, sealed_ids.RESPONSE)
    annotations = payload["output"][0]["content"][0]["annotations"]
    assert [one["file_id"] for one in annotations] == [file.id, "cfile_1"]
    assert payload["tools"][0]["container"]["file_ids"] == [file.id]


@pytest.mark.parametrize("bytes_each", [1, 7, 4096])
async def test_files_that_a_stream_names_are_looked_up_before_it_goes_on(world: World, bytes_each: int) -> None:
    file = await world.keep()
    upstream_id = await world.files.copies.at(file, EAST)
    other = world.another().copies
    data = orjson.dumps({"text": "x" * 200, "tools": [{"container": {"file_ids": ["file-nobodys", upstream_id]}}]})

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), bytes_each):
            yield data[start : start + bytes_each]

    seen = b""
    async for chunk in learning(chunks(), other, EAST.resource_tag):
        seen += chunk
        known = other.original(EAST.resource_tag, upstream_id)
        assert known == (file.id if f'"{upstream_id}"'.encode() in seen else None)
    assert seen == data


async def test_a_reply_is_not_held_up_by_a_storage_outage(world: World) -> None:
    world.fail_at(1, "before")
    await learn(world.files.copies, sealed_ids.ITEMS, EAST.resource_tag, {"data": [{"content": parts("assistant-1")}]})
    assert world.mend()
