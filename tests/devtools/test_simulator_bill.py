from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from devtools.serving import serving
from devtools.simulator import ControlClient, create_app
from devtools.simulator.exchange import Request
from devtools.simulator.recorder import Recorder

PATH = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"


def body(text: str = "[[sim chunks=10]]", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits up to two seconds for what another thread does."""
    deadline = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_buffered_call_is_one_line(http: httpx.Client, sim: ControlClient) -> None:
    usage = http.post(PATH, json=body(), headers={"x-ms-client-request-id": "attempt-1"}).json()["usage"]
    [line] = sim.bill()
    assert abs(line.pop("time") - time.time()) < 60
    assert line.pop("seq") > 0
    assert line == {
        "resource": "east", "deployment": "gpt-4o", "model": "gpt-4o", "operation": "chat/completions",
        "api_version": "2024-10-21", "surface": "classic", "stream": False, "status": 200,
        "prompt_tokens": usage["prompt_tokens"], "cached_tokens": 0, "completion_tokens": 10, "reasoning_tokens": 0,
        "input_audio_tokens": 0, "output_audio_tokens": 0, "input_image_tokens": 0, "output_image_tokens": 0,
        "characters": 0, "seconds": 0.0, "images": 0, "image_size": "", "quality": "",
        "finished": True, "client_request_id": "attempt-1", "batch": "", "custom_id": "", "price_factor": 1.0,
        "job": "", "training_tokens": 0,
    }  # fmt: skip


def test_a_stream_read_to_its_end_is_billed_in_full(http: httpx.Client, sim: ControlClient) -> None:
    path = PATH.replace("gpt-4o/", "gpt-5/").replace("2024-10-21", "2024-12-01-preview")
    http.post(path, json=body(stream=True, reasoning_effort="low"))
    [line] = sim.bill()
    assert (line["completion_tokens"], line["reasoning_tokens"], line["finished"]) == (74, 64, True)


def test_the_bill_agrees_with_the_usage_of_every_kind_of_stream(http: httpx.Client, sim: ControlClient) -> None:
    tools = [{"type": "function", "function": {"name": "weather_by_city", "parameters": {
        "properties": {"city": {"type": "string"}},
    }}}]  # fmt: skip
    kinds: list[dict[str, Any]] = [
        body(), body(n=3), body(max_tokens=4), body("Paris, Rome, Oslo", tools=tools),
        body("[[sim chunks=5 chunk_bytes=50 lang=zh]]"), body("[[sim filter=output chunks=8]]"),
        body("json", response_format={"type": "json_object"}),
    ]  # fmt: skip
    for kind in kinds:
        http.post(PATH, json=kind)
        raw = http.post(PATH, json={**kind, "stream": True, "stream_options": {"include_usage": True}}).content
        usage = orjson.loads(raw.split(b"\n\n")[-3].removeprefix(b"data: "))["usage"]
        buffered, streamed = sim.bill()[-2:]
        assert buffered["completion_tokens"] == streamed["completion_tokens"] == usage["completion_tokens"] > 0
        assert buffered["prompt_tokens"] == streamed["prompt_tokens"] == usage["prompt_tokens"] > 0


def test_generation_stops_when_the_client_leaves(http: httpx.Client, sim: ControlClient) -> None:
    with http.stream("POST", PATH, json=body("[[sim chunks=500 delay_ms=5]]", stream=True)) as response:
        parts = response.iter_raw()
        for _ in range(5):
            next(parts)
    wait_until(lambda: bool(sim.requests()[-1]["disconnected"]))
    [line] = sim.bill()
    assert 3 <= line["completion_tokens"] < 250
    assert line["finished"] is False


def test_a_buffered_call_is_billed_when_the_client_leaves(http: httpx.Client, sim: ControlClient) -> None:
    with pytest.raises(httpx.ReadTimeout):
        http.post(PATH, json=body("[[sim chunks=10 first_ms=2000]]"), timeout=0.1)
    wait_until(lambda: bool(sim.requests()[-1]["disconnected"]))
    assert [(line["completion_tokens"], line["finished"]) for line in sim.bill()] == [(10, True)]


def test_a_filtered_prompt_is_billed_for_its_prompt(http: httpx.Client, sim: ControlClient) -> None:
    assert http.post(PATH, json=body("a hate-trigger")).status_code == 400
    [line] = sim.bill()
    assert (line["status"], line["completion_tokens"], line["finished"]) == (400, 0, True)
    assert line["prompt_tokens"] > 0


def test_other_errors_are_not_billed(http: httpx.Client, sim: ControlClient) -> None:
    http.post(PATH, json={})
    http.post(PATH, json=body(), headers={"api-key": "wrong"})
    http.post(PATH.replace("gpt-4o/", "gpt-9/"), json=body())
    assert sim.bill() == []


def test_the_bill_adds_up_and_can_be_cleared(http: httpx.Client, sim: ControlClient) -> None:
    for _ in range(3):
        http.post(PATH, json=body())
    bill = sim.call("GET", "/bill")
    assert (bill["count"], bill["completion_tokens"]) == (3, 30)
    assert bill["prompt_tokens"] == sum(line["prompt_tokens"] for line in bill["lines"])
    sim.call("DELETE", "/bill")
    assert sim.bill() == []


def test_requests_are_recorded_without_their_secrets(http: httpx.Client, sim: ControlClient) -> None:
    http.post(PATH, json=body(), headers={"x-ms-client-request-id": "a"})
    [record] = sim.requests()
    assert (record["method"], record["path"], record["query"]) == (
        "POST", "/east/openai/deployments/gpt-4o/chat/completions", {"api-version": "2024-10-21"},
    )  # fmt: skip
    assert (record["status"], record["disconnected"], record["fault"]) == (200, False, None)
    assert orjson.loads(record["body"]) == body()
    assert record["headers"]["x-ms-client-request-id"] == "a"
    assert record["headers"]["api-key"].startswith("sha256:")
    assert "sim-key" not in orjson.dumps(record).decode()


def test_a_refused_request_is_recorded_too(http: httpx.Client, sim: ControlClient) -> None:
    http.post(PATH, json=body(), headers={"api-key": "wrong"})
    assert [record["status"] for record in sim.requests()] == [401]
    sim.call("DELETE", "/requests")
    assert sim.requests() == []


def test_the_record_keeps_64_kib_of_a_body(http: httpx.Client, sim: ControlClient) -> None:
    http.post(PATH, json=body("x" * 100_000))
    [record] = sim.requests()
    assert (len(record["body"]), record["body_truncated"]) == (65_536, True)


def test_a_body_over_the_limit_is_a_413() -> None:
    with serving(create_app(body_bytes_max=1000)) as base, httpx.Client(base_url=base) as small:
        status = [small.post(PATH, content=b"x" * size).status_code for size in (1000, 1001, 5_000_000)]
    assert status == [401, 413, 413]


def test_the_record_is_bounded_in_number_and_in_bytes() -> None:
    recorder = Recorder()
    for _ in range(10_001):
        recorder.add(Request("GET", "/", {}, {}, b""), 0.0)
    assert recorder.to_json()["count"] == 10_000
    large = Request("POST", "/", {}, {}, b"x" * 65_536)
    for _ in range(3000):
        recorder.add(large, 0.0)
    assert sum(record.body == large.body for record in recorder.records) == 2048
    assert recorder.to_json()["requests"][-1]["seq"] == 13_001
