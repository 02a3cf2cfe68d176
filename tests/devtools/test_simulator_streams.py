from __future__ import annotations

import time
from typing import Any

import httpx
import orjson
import pytest
from openai import AzureOpenAI

from devtools.simulator import ControlClient

PATH = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
FOREIGN = {"id": "", "object": "", "created": 0, "model": ""}


def lines(http: httpx.Client, text: str, **more: Any) -> list[str]:
    """The data of each event of a stream, as text."""
    body = {"messages": [{"role": "user", "content": text}], "stream": True, **more}
    raw = http.post(PATH, json=body).content
    assert raw.endswith(b"\n\n")
    events = raw.decode().removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("data: ") for event in events)
    return [event.removeprefix("data: ") for event in events]


def chunks(http: httpx.Client, text: str, **more: Any) -> list[dict[str, Any]]:
    """The chunks before `[DONE]`."""
    *data, done = lines(http, text, **more)
    assert done == "[DONE]"
    return [orjson.loads(line) for line in data]


def text_of(parts: list[dict[str, Any]]) -> str:
    return "".join(choice.get("delta", {}).get("content") or "" for part in parts for choice in part["choices"])


def test_the_first_chunk_is_the_prompts_filter_results(http: httpx.Client) -> None:
    first, second, *_ = chunks(http, "hello")
    assert {name: first[name] for name in FOREIGN} == FOREIGN
    assert first["choices"] == []
    assert first["prompt_filter_results"][0]["prompt_index"] == 0
    assert second["choices"][0]["delta"] == {"content": "", "refusal": None, "role": "assistant"}
    assert second["id"].startswith("chatcmpl-")


def test_each_delta_has_its_filter_results_and_the_last_a_finish(http: httpx.Client) -> None:
    parts = chunks(http, "[[sim chunks=5]]")
    assert len(parts) == 1 + 1 + 5 + 1
    assert all("hate" in part["choices"][0]["content_filter_results"] for part in parts[2:-1])
    assert (parts[-1]["choices"][0]["delta"], parts[-1]["choices"][0]["finish_reason"]) == ({}, "stop")
    assert not any("usage" in part for part in parts)


def test_usage_comes_only_when_asked_and_is_null_before(http: httpx.Client) -> None:
    *parts, last = chunks(http, "[[sim chunks=5]]", stream_options={"include_usage": True})
    assert all(part["usage"] is None for part in parts)
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 5)


def test_a_stream_says_the_same_as_the_buffered_answer(http: httpx.Client) -> None:
    buffered = http.post(PATH, json={"messages": [{"role": "user", "content": "hello"}]}).json()
    assert text_of(chunks(http, "hello")) == buffered["choices"][0]["message"]["content"]


def test_the_asynchronous_filter_annotates_apart_and_after_the_finish(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", content_filter="asynchronous")
    parts = chunks(http, "[[sim chunks=6]]")
    annotations = [part for part in parts if part["choices"] and "delta" not in part["choices"][0]]
    assert len(annotations) == 2
    assert parts[-1] is annotations[-1]
    assert parts[-2]["choices"][0]["finish_reason"] == "stop"
    assert {name: annotations[0][name] for name in FOREIGN} == FOREIGN
    offsets = annotations[1]["choices"][0]["content_filter_offsets"]
    assert (offsets["start_offset"], offsets["end_offset"]) == (len(text_of(parts)) // 2, len(text_of(parts)))
    assert "content_filter_results" not in parts[2]["choices"][0]


def test_a_violation_found_asynchronously_ends_the_stream(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", content_filter="asynchronous")
    parts = chunks(http, "[[sim filter=output chunks=6]]")
    finishes = [choice["finish_reason"] for part in parts for choice in part["choices"]]
    assert finishes[-1] == "content_filter"
    assert "stop" not in finishes


def test_n_choices_take_turns(http: httpx.Client) -> None:
    parts = chunks(http, "[[sim chunks=4]]", n=2)
    assert [part["choices"][0]["index"] for part in parts[1:]] == [0, 1] * 6


def test_tool_calls_arrive_in_pieces_that_join_to_json(http: httpx.Client) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    }}}  # fmt: skip
    parts = chunks(http, "Paris and Tokyo", tools=[tool], stream_options={"include_usage": True})
    deltas = [call for part in parts for choice in part["choices"] for call in choice["delta"].get("tool_calls", ())]
    joined = ["".join(d["function"]["arguments"] for d in deltas if d["index"] == index) for index in (0, 1)]
    assert [orjson.loads(arguments)["city"] for arguments in joined] == ["Paris", "Tokyo"]
    assert [d["function"]["name"] for d in deltas if "id" in d] == ["weather", "weather"]
    assert parts[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_older_functions_and_logprobs_stream_too(http: httpx.Client) -> None:
    deltas = [part["choices"][0]["delta"] for part in chunks(http, "in Paris", functions=[{"name": "weather"}])[1:]]
    assert "".join(delta.get("function_call", {}).get("arguments", "") for delta in deltas) == "{}"
    parts = chunks(http, "[[sim chunks=3]]", logprobs=True)
    assert all(part["choices"][0]["logprobs"]["content"] for part in parts[2:-1])


def test_directives_set_the_size_and_language_of_chunks(http: httpx.Client) -> None:
    parts = chunks(http, "[[sim chunks=9 chunk_bytes=30 lang=zh]]")
    pieces = [part["choices"][0]["delta"]["content"] for part in parts[2:-1]]
    assert len(pieces) == 9
    assert all(27 <= len(piece.encode()) <= 30 and not piece.isascii() for piece in pieces)


def test_odd_text_does_not_break_the_framing(http: httpx.Client) -> None:
    assert "data: [DONE]" in text_of(chunks(http, "[[sim chunks=200 lang=odd]]"))


def test_directives_set_the_pace(http: httpx.Client) -> None:
    start = time.perf_counter()
    chunks(http, "[[sim chunks=5 delay_ms=10 first_ms=50]]")
    assert time.perf_counter() - start >= 0.05 + 7 * 0.01


def test_a_deployments_pace_also_holds_a_buffered_answer(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", first_ms=40, delay_ms=5)
    start = time.perf_counter()
    http.post(PATH, json={"messages": [{"role": "user", "content": "[[sim chunks=8]]"}]})
    assert time.perf_counter() - start >= 0.08


@pytest.mark.parametrize("words", ["chunks=many", "speed=9", "lang=fr", "chunks=9999999"])
def test_a_directive_that_is_not_understood_is_a_400(http: httpx.Client, words: str) -> None:
    response = http.post(PATH, json={"messages": [{"role": "user", "content": f"[[sim {words}]]"}]})
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("Simulator: the directive")


def test_the_openai_sdk_reads_a_stream(url: str, sim: ControlClient) -> None:
    with AzureOpenAI(azure_endpoint=f"{url}/east", api_key="sim-key-east", api_version="2024-10-21") as azure:
        stream = azure.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "[[sim chunks=7]]"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        parts = list(stream)
    assert parts[-1].usage is not None
    assert parts[-1].usage.completion_tokens == 7
    assert len("".join(c.delta.content or "" for part in parts for c in part.choices).split()) == 7
