"""A stream made of a whole chat completion."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from shared.errors import UpstreamFailed
from shared.operations.simulated import streamed_completion

FILTER = [{"prompt_index": 0, "content_filter_results": {}}]


def chunks(**whole: Any) -> list[Any]:
    """The stream's chunks, its end without `[DONE]`."""
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "o1", "choices": [], **whole}
    *events, done = streamed_completion(orjson.dumps(body)).decode().split("\n\n")[:-1]
    assert done == "data: [DONE]"
    return [orjson.loads(one.removeprefix("data: ")) for one in events]


def choice(text: str | None = "hello", index: int = 0, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None, **more}
    return {"index": index, "message": message, "finish_reason": "stop", "logprobs": None}


def test_a_choice_is_its_message_and_its_end() -> None:
    said, ended, _ = chunks(choices=[choice()])
    assert said["choices"][0]["delta"] == {"role": "assistant", "content": "hello"}
    assert said["choices"][0]["finish_reason"] is None
    assert ended["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_usage_comes_last_and_apart() -> None:
    *others, last = chunks(choices=[choice()], usage={"prompt_tokens": 1})
    assert (last["choices"], last["usage"]) == ([], {"prompt_tokens": 1})
    assert not [one for one in others if "usage" in one]


def test_every_chunk_is_named() -> None:
    made = chunks(choices=[choice(), choice(index=1)])
    assert {(one["id"], one["model"], one["object"]) for one in made} == {("chatcmpl-1", "o1", "chat.completion.chunk")}


@pytest.mark.parametrize("choices", [[choice(), choice(index=1)], []], ids=["two choices", "none"])
def test_the_prompts_filter_results_come_once_and_first(choices: list[Any]) -> None:
    made = chunks(choices=choices, prompt_filter_results=FILTER)
    assert [one.get("prompt_filter_results") for one in made] == [FILTER, *[None] * (len(made) - 1)]


def test_tool_calls_are_numbered() -> None:
    said, *_ = chunks(choices=[choice(None, tool_calls=[{"id": "a"}, {"id": "b"}])])
    assert [call["index"] for call in said["choices"][0]["delta"]["tool_calls"]] == [0, 1]
    assert "content" not in said["choices"][0]["delta"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"choices": null}', b"<html>"])
def test_what_is_no_completion_is_a_failure(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        streamed_completion(body)
