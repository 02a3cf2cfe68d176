"""Chat streams × what goes wrong after they began: whole or told to be broken, counted, nothing left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import openai
import orjson
import pytest

from tests.told import told

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

CONFIG = """
general_settings: {idle_timeout_s: 0.3, disconnect_drain_s: 0.2}
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, order: 1}
    model_info: {id: east}
"""
WEST = """  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-west, order: 2}
    model_info: {id: west}
"""
PATH = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"


def events(answer: httpx.Response) -> list[Any]:
    """The events of a stream: JSON objects, and `[DONE]` as it is. Comments are left out."""
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("\n\n")
    found: list[Any] = []
    for block in answer.content.removesuffix(b"\n\n").split(b"\n\n"):
        if block.startswith(b":"):
            continue
        assert block.startswith(b"data: ")
        data = block.removeprefix(b"data: ")
        found.append("[DONE]" if data == b"[DONE]" else orjson.loads(data))
    return found


def text_of(chunks: list[Any]) -> str:
    deltas = [choice["delta"] for chunk in chunks if isinstance(chunk, dict) for choice in chunk.get("choices", ())]
    return "".join(delta.get("content") or "" for delta in deltas)


def upstream_events(run: Running, text: str = "hello") -> list[bytes]:
    """The events that the simulator sends for such a call, read from it directly."""
    body = {"messages": [{"role": "user", "content": text}], "stream": True, "stream_options": {"include_usage": True}}
    raw = httpx.post(run.sim_url + PATH, json=body, headers={"api-key": "sim-key-east"}).content
    run.sim.reset()
    return [event + b"\n\n" for event in raw.removesuffix(b"\n\n").split(b"\n\n")]


def check_broken(run: Running, answer: httpx.Response, code: str) -> dict[str, Any]:
    """An error event, nothing after it, no [DONE]; gives the call's record."""
    *chunks, last = events(answer)
    assert "[DONE]" not in chunks
    assert set(last) == {"error"}
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert last["error"]["code"] == code
    assert not [chunk for chunk in chunks if "error" in chunk]
    run.assert_discreet(str(answer.headers), answer.text)
    [call] = run.calls()
    assert (call["outcome"], call["code"]) == ("broken", code)
    run.await_rest()
    return call


def check_whole(run: Running, answer: httpx.Response) -> dict[str, Any]:
    """All text, a finish_reason, [DONE] once and last; gives the call's record."""
    *chunks, last = events(answer)
    assert last == "[DONE]"
    assert "[DONE]" not in chunks
    assert not [chunk for chunk in chunks if "error" in chunk]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    run.assert_discreet(str(answer.headers), answer.text)
    [call] = run.calls()
    assert call["outcome"] == "ok"
    run.await_rest()
    return call


def check_estimated(run: Running, call: dict[str, Any]) -> bool:
    """The prompt and what was seen of the answer are estimated, in the order of what Azure charges."""
    [line] = run.sim.bill()
    assert call["usage_source"] == "estimated"
    assert line["prompt_tokens"] / 2 <= call["prompt_tokens"] <= line["prompt_tokens"] * 2 + 10
    assert line["completion_tokens"] / 2 - 5 <= call["completion_tokens"] <= line["completion_tokens"] * 2 + 5
    return True


def check_upstreams_own(run: Running, call: dict[str, Any]) -> bool:
    [line] = run.sim.bill()
    assert call["usage_source"] == "upstream"
    assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])
    return True


PACED = "hello [[sim delay_ms=20]]"
"""What comes in one burst with the break may be lost with it; so the events before a cut come apart."""


@pytest.mark.parametrize("after", [5, 9])
def test_a_cut_between_events_breaks_the_stream(spillway: Spillway, after: int) -> None:
    run = spillway(CONFIG)
    run.sim.fault(cut_after_events=after)
    answer = run.chat(PACED, stream=True)
    assert check_estimated(run, check_broken(run, answer, "stream_broken"))
    assert after - 1 <= len(events(answer)) <= after


def test_a_cut_inside_a_character_breaks_the_stream_at_the_last_whole_event(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    prompt = "hello [[sim lang=zh chunks=20 delay_ms=20]]"
    sent = upstream_events(run, prompt)
    at = sum(map(len, sent[:6])) + next(i for i, byte in enumerate(sent[6]) if byte > 0x7F) + 1
    run.sim.fault(cut_after_bytes=at)
    answer = run.chat(prompt, stream=True)
    check_broken(run, answer, "stream_broken")
    assert len(text_of(events(answer))) == 4


def test_an_early_but_clean_end_breaks_the_stream(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.sim.fault(truncate=8)
    assert check_estimated(run, check_broken(run, run.chat(stream=True), "stream_broken"))


def test_an_end_after_the_finish_without_usage_is_whole_and_estimated(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.sim.fault(truncate=len(upstream_events(run)) - 2)
    assert check_estimated(run, check_whole(run, run.chat(stream=True)))


def test_an_end_after_usage_without_done_is_whole(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.sim.fault(drop_done=True)
    assert check_upstreams_own(run, check_whole(run, run.chat(stream=True)))


def test_a_cut_after_usage_without_done_is_counted(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.sim.fault(cut_after_events=len(upstream_events(run)) - 1)
    answer = run.chat(stream=True)
    call = check_broken(run, answer, "stream_broken")
    # The last burst before a break is lost in the HTTP client now and then, and the usage with it.
    assert (check_upstreams_own if call["usage_source"] == "upstream" else check_estimated)(run, call)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "rate_limit_exceeded"),
        ({"error": {"code": "InternalServerError", "message": "at https://x.openai.azure.com/y"}}, "upstream_error"),
        ({"error": {"message": "The server had an error", "type": "server_error", "code": None}}, "upstream_error"),
        ({"error": {"code": "content_filter", "message": "filtered", "param": "prompt"}}, "content_filter"),
        ({"error": {}}, "upstream_error"),
    ],
)
@pytest.mark.parametrize("delay_ms", [0, 5], ids=["one chunk", "chunks"])
def test_an_error_event_in_mid_stream_ends_it(
    spillway: Spillway, body: dict[str, Any] | None, code: str, delay_ms: int
) -> None:
    run = spillway(CONFIG)
    run.sim.fault(error_event_after_events=6, body=body)
    answer = run.chat(f"hello [[sim delay_ms={delay_ms}]]", stream=True)
    assert check_estimated(run, check_broken(run, answer, code))
    assert "openai.azure.com" not in answer.text


def test_an_error_behind_data_does_not_fail_over_however_the_network_cuts_it(spillway: Spillway) -> None:
    run = spillway(CONFIG + WEST)
    run.sim.fault(error_event_after_events=6, chunk_bytes=1_000_000)
    answer = run.chat(stream=True)
    assert check_estimated(run, check_broken(run, answer, "rate_limit_exceeded"))


def test_the_sdk_raises_on_an_error_event_after_the_text_before_it(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.sim.fault(cut_after_events=6)
    seen: list[str | None] = []
    with (
        openai.OpenAI(
            base_url=run.url + "/v1", api_key=run.key, http_client=openai.DefaultHttpxClient(verify=False)
        ) as client,
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": PACED}], stream=True
        ) as chunks,
        pytest.raises(openai.APIError) as raised,
    ):
        seen.extend(chunk.choices[0].delta.content for chunk in chunks)
    assert raised.value.code == "stream_broken"
    assert len(run.sent()) == 1


def test_a_stream_that_stops_is_ended_after_idle_timeout_s(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.sim.fault(stall_after_events=6)
    answer = run.chat(stream=True)
    assert check_estimated(run, check_broken(run, answer, "upstream_timeout"))
    assert "0.3 seconds" in events(answer)[-1]["error"]["message"]


def test_a_stream_that_stops_after_its_filter_chunk_is_ended_too(spillway: Spillway) -> None:
    run = spillway(CONFIG, SPILLWAY_HOLD_BACK_S="0.05")
    run.sim.fault(stall_after_events=1)
    *chunks, last = events(run.chat(stream=True))
    assert chunks == []
    assert last["error"]["code"] == "upstream_timeout"
    run.await_rest()


def test_a_slow_first_token_after_the_filter_chunk_is_waited_for(spillway: Spillway) -> None:
    run = spillway(CONFIG, SPILLWAY_HOLD_BACK_S="0.05")
    run.sim.fault(stall_after_events=1, stall_s=0.15)
    answer = run.chat(stream=True)
    assert check_upstreams_own(run, check_whole(run, answer))
    assert "prompt_filter_results" in events(answer)[0]


@pytest.mark.parametrize("size", [1, 2, 7, 100, 1_000_000])
def test_the_size_of_chunks_does_not_matter(spillway: Spillway, size: int) -> None:
    run = spillway(CONFIG)
    prompt = "hello [[sim lang=odd chunks=10]]"
    full = run.chat(prompt).json()["choices"][0]["message"]["content"]
    run.sim.reset()
    run.log.messages.clear()
    run.sim.fault(chunk_bytes=size)
    answer = run.chat(prompt, stream=True)
    assert check_upstreams_own(run, check_whole(run, answer))
    assert text_of(events(answer)) == full


def test_a_huge_event_comes_through(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    choice = {"index": 0, "delta": {"content": "x" * 8_000_000}, "finish_reason": "stop"}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    body = f"data: {orjson.dumps(chunk).decode()}\n\ndata: [DONE]\n\n"
    run.sim.fault(status=200, headers={"content-type": "text/event-stream"}, body=body)
    answer = run.chat(stream=True)
    check_whole(run, answer)
    assert len(text_of(events(answer))) == 8_000_000


def test_an_event_that_is_not_json_breaks_the_stream(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.sim.fault(status=200, headers={"content-type": "text/event-stream"}, body="data: {\n\ndata: [DONE]\n\n")
    assert run.chat(stream=True).status_code == 502
    run.await_rest()


KEEP_ALIVE = CONFIG.replace("{idle_timeout_s: 0.3", "{keepalive_s: 0.2, idle_timeout_s: 5")
SLOW = "hello [[sim first_ms=700]]"


def test_silence_before_the_first_token_is_filled_with_comments(spillway: Spillway) -> None:
    run = spillway(KEEP_ALIVE)
    answer = run.chat(SLOW, stream=True)
    assert answer.text.startswith(": keep-alive\n\n")
    assert check_upstreams_own(run, check_whole(run, answer))


def test_the_closing_comment_tells_what_the_headers_could_not(spillway: Spillway) -> None:
    run = spillway(KEEP_ALIVE)
    answer = run.chat(SLOW, stream=True)
    assert "x-spillway-deployment" not in answer.headers
    blocks = answer.text.split("\n\n")
    assert blocks[-2] == "data: [DONE]"
    said = told(answer.content)
    assert (said["x-spillway-deployment"], said["x-spillway-attempts"]) == ("gpt-4o", "1")
    run.assert_discreet(answer.text)


def test_silence_in_mid_stream_is_filled_with_comments(spillway: Spillway) -> None:
    run = spillway(KEEP_ALIVE)
    run.sim.fault(stall_after_events=6, stall_s=0.7)
    answer = run.chat(stream=True)
    assert 2 <= answer.text.count(": keep-alive\n\n") <= 4
    assert "x-spillway-model-id" not in told(answer.content)  # its headers have said so
    assert check_upstreams_own(run, check_whole(run, answer))


def test_the_sdk_reads_over_comments(spillway: Spillway) -> None:
    run = spillway(KEEP_ALIVE)
    with openai.OpenAI(
        base_url=run.url + "/v1", api_key=run.key, http_client=openai.DefaultHttpxClient(verify=False)
    ) as client:
        chunks = list(
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": SLOW}], stream=True)
        )
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(("status", "code"), [(500, "upstream_error"), (429, "rate_limit_exceeded")])
def test_a_failure_after_comments_is_an_error_event(spillway: Spillway, status: int, code: str) -> None:
    run = spillway(KEEP_ALIVE)
    run.sim.fault(status=status, delay_ms=500)
    answer = run.chat(stream=True)
    assert answer.text.startswith(": keep-alive\n\n")
    [last] = events(answer)
    assert last["error"]["code"] == code
    [call] = run.calls()
    assert (call["outcome"], call["code"]) == ("error", code)
    run.await_rest()
    assert run.sim.bill() == []


def test_failing_over_still_works_after_comments(spillway: Spillway) -> None:
    run = spillway(KEEP_ALIVE + WEST)
    run.sim.fault(resource="east", status=503, delay_ms=500)
    answer = run.chat(stream=True)
    assert run.calls()[0]["deployment_id"] == "west"
    said = told(answer.content)
    assert (said["x-spillway-model-id"], said["x-spillway-attempts"]) == ("west", "2")
    assert len(run.sim.bill()) == 1
