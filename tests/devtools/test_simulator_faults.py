from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from devtools.simulator import ControlClient
from devtools.simulator.delivery import rechunk
from devtools.simulator.exchange import Event
from devtools.simulator.faults import Faults
from devtools.simulator.resources import SettingsError

PATH = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
HELLO = {"messages": [{"role": "user", "content": "[[sim chunks=10]]"}]}
STREAM = {**HELLO, "stream": True}


def read(http: httpx.Client) -> tuple[bytes, str]:
    """A stream's bytes, and the name of the error that ended it."""
    got = b""
    try:
        with http.stream("POST", PATH, json=STREAM) as response:
            for part in response.iter_raw():
                got += part
    except httpx.HTTPError as error:
        return got, type(error).__name__
    return got, ""


@pytest.mark.parametrize(("status", "code"), [(500, None), (503, "ServiceUnavailable"), (408, "Timeout"), (429, "429")])
def test_a_status_fault_answers_as_azure_would(
    http: httpx.Client, sim: ControlClient, status: int, code: str | None
) -> None:
    sim.fault(status=status)
    response = http.post(PATH, json=HELLO)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers["apim-request-id"]
    assert http.post(PATH, json=HELLO).status_code == 200
    assert len(sim.bill()) == 1


def test_a_fault_may_set_body_and_headers(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(status=418, body={"error": {"code": "x"}}, headers={"Retry-After": "9", "x-ms-region": None})
    response = http.post(PATH, json=HELLO)
    assert (response.status_code, response.json()) == (418, {"error": {"code": "x"}})
    assert response.headers["retry-after"] == "9"
    assert "x-ms-region" not in response.headers


def test_headers_alone_leave_the_answer_as_it_is(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(headers={"x-ms-region": "Mars"})
    response = http.post(PATH, json=HELLO)
    assert (response.status_code, response.headers["x-ms-region"]) == (200, "Mars")


def test_a_fault_strikes_only_where_it_should(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(resource="west", status=500)
    sim.fault(deployment="gpt-4.1", status=500)
    sim.fault(operation="models", status=500)
    assert http.post(PATH, json=HELLO).status_code == 200
    v1 = http.post("/east/openai/v1/chat/completions", json={**HELLO, "model": "gpt-4.1"})
    assert v1.status_code == 500


def test_times_and_after_say_how_many_requests(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(status=500, after=1, times=2)
    assert [http.post(PATH, json=HELLO).status_code for _ in range(4)] == [200, 500, 500, 200]


def test_a_fault_for_ever_lasts_until_it_is_deleted(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(status=500, times=None)
    assert {http.post(PATH, json=HELLO).status_code for _ in range(3)} == {500}
    assert sim.call("GET", "/faults")["faults"][0]["hits"] == 3
    sim.call("DELETE", "/faults")
    assert http.post(PATH, json=HELLO).status_code == 200


def test_probability_is_seeded(http: httpx.Client, sim: ControlClient) -> None:
    def run() -> list[int]:
        sim.reset()
        sim.fault(status=500, times=None, probability=0.5)
        return [http.post(PATH, json=HELLO).status_code for _ in range(12)]

    first = run()
    assert set(first) == {200, 500}
    assert run() == first


def test_html_and_empty_bodies(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(html=True)
    sim.fault(empty=True)
    page, nothing = http.post(PATH, json=HELLO), http.post(PATH, json=HELLO)
    assert (page.status_code, page.headers["content-type"], page.text[:6]) == (502, "text/html", "<html>")
    assert (nothing.status_code, nothing.content) == (200, b"")


def test_a_reset_breaks_the_connection_before_any_answer(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(reset=True)
    with pytest.raises(httpx.ReadError):
        http.post(PATH, json=HELLO)
    assert sim.bill() == []
    assert sim.requests()[-1]["status"] is None


def test_a_lost_answer_can_be_billed(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(reset=True, billed=True)
    sim.fault(status=500, billed=True)
    with pytest.raises(httpx.ReadError):
        http.post(PATH, json=HELLO)
    assert http.post(PATH, json=STREAM).status_code == 500
    assert [(line["completion_tokens"], line["finished"]) for line in sim.bill()] == [(10, True), (10, True)]


def test_a_buffered_answer_is_cut_at_a_byte(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(cut_after_bytes=100)
    with pytest.raises(httpx.RemoteProtocolError, match="received 100 bytes"):
        http.post(PATH, json=HELLO)
    assert sim.requests()[-1]["bytes_sent"] == 100


@pytest.mark.parametrize("cut", [0, 1, 500])
def test_a_stream_is_cut_at_a_byte(http: httpx.Client, sim: ControlClient, cut: int) -> None:
    sim.fault(cut_after_bytes=cut)
    got, error = read(http)
    assert (len(got), error) == (cut, "RemoteProtocolError")


def test_a_stream_is_cut_after_events(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(cut_after_events=5)
    got, error = read(http)
    assert (got.count(b"\n\n"), error) == (5, "RemoteProtocolError")
    assert [(line["completion_tokens"], line["finished"]) for line in sim.bill()] == [(3, False)]


def test_a_truncated_stream_ends_cleanly_without_done(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(truncate=True)
    sim.fault(truncate=3)
    half, error = read(http)
    assert error == ""
    assert half.endswith(b"\n\n")
    assert b"[DONE]" not in half
    assert read(http)[0].count(b"\n\n") == 3


def test_a_truncated_buffered_answer_is_not_json(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(truncate=True)
    with pytest.raises(ValueError, match="Unterminated string"):
        http.post(PATH, json=HELLO).json()


def test_the_done_event_can_be_lost(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(drop_done=True)
    got, error = read(http)
    assert (b'"finish_reason":"stop"' in got, b"[DONE]" in got, error) == (True, False, "")
    assert sim.bill()[0]["finished"] is True


def test_an_error_event_can_end_a_stream(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(error_event_after_events=1)
    sim.fault(error_event_after_events=4, body={"error": {"code": "mine"}})
    first, second = read(http)[0].split(b"\n\n"), read(http)[0].split(b"\n\n")
    assert (len(first), len(second)) == (1 + 1 + 1, 4 + 1 + 1)
    assert b'"code":"rate_limit_exceeded"' in first[1]
    assert second[4] == b'data: {"error":{"code":"mine"}}'


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_can_come_in_pieces_of_any_size(http: httpx.Client, sim: ControlClient, size: int) -> None:
    def pieces() -> list[bytes]:
        with http.stream("POST", PATH, json=STREAM) as response:
            return list(response.iter_raw())

    whole = b"".join(pieces())
    sim.fault(chunk_bytes=size)
    parts = pieces()
    assert {len(part) for part in parts[:-1]} == {size}
    assert b"".join(parts).count(b"\n\n") == whole.count(b"\n\n")
    assert [line["completion_tokens"] for line in sim.bill()] == [10, 10]


def test_a_stall_keeps_the_connection_open(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(stall_after_events=4, stall_s=0.2)
    start = time.perf_counter()
    got, error = read(http)
    assert time.perf_counter() - start >= 0.2
    assert (got.endswith(b"data: [DONE]\n\n"), error) == (True, "")


def test_a_stalled_stream_ends_when_the_client_leaves(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(stall_after_events=4)
    with pytest.raises(httpx.ReadTimeout):
        http.post(PATH, json=STREAM, timeout=0.1)
    wait_until(lambda: bool(sim.requests()[-1]["disconnected"]))
    assert [(line["completion_tokens"], line["finished"]) for line in sim.bill()] == [(2, False)]


def test_delays_before_the_headers_and_before_the_body(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(delay_ms=60)
    sim.fault(first_byte_delay_ms=60)
    for headers_late in (True, False):
        start = time.perf_counter()
        with http.stream("POST", PATH, json=HELLO) as response:
            assert (time.perf_counter() - start >= 0.06) is headers_late
            response.read()
        assert time.perf_counter() - start >= 0.06


def test_an_unknown_setting_is_refused(sim: ControlClient) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        sim.fault(explode=True)


def test_no_more_than_a_thousand_rules() -> None:
    faults = Faults(seed=0)
    for _ in range(1000):
        faults.add({"status": 500})
    with pytest.raises(SettingsError, match="1000"):
        faults.add({"status": 500})


def test_rechunking_loses_no_byte_and_no_token() -> None:
    pieces = [Event(b"abc", 1), Event(b"defgh", 2, 3), Event(b"", 4), Event(b"i", 5)]
    for size in range(1, 12):
        chunks = rechunk(pieces, size)
        assert b"".join(chunk.data for chunk in chunks) == b"abcdefghi"
        assert sum(chunk.tokens for chunk in chunks) == 12
        assert sum(chunk.reasoning_tokens for chunk in chunks) == 3


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits up to two seconds for what another thread does."""
    deadline = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
