"""Chat × what an upstream does wrong before its answer begins: the client's answer, its retry signal, failing over."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

ENTRY = """
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: "%s", api_key: %s, api_version: "2024-10-21", order: %d}
    model_info: {id: %s}
"""
SETTINGS = """
general_settings: {first_byte_timeout_s: 0.3, idle_timeout_s: 0.3}
router_settings: {timeout: 0.3}
"""
EAST = ENTRY % ("$SIM/east", "sim-key-east", 1, "east")
WEST = ENTRY % ("$SIM/west", "sim-key-west", 2, "west")
ONE = "model_list:" + EAST + SETTINGS
TWO = "model_list:" + EAST + WEST + SETTINGS


@dataclass(frozen=True)
class Fault:
    """What `east` does, and the answer when there is nobody else: status, code, x-should-retry, retry-after-ms.

    `fails_over`: another deployment is tried. `billed`: Azure charges for the failed attempt.
    """

    rule: dict[str, Any]
    status: int
    code: str | None
    retry: bool
    fails_over: bool
    billed: bool = False
    retry_after_ms: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


def limited(told_ms: int | None, seconds: str | None = None, milliseconds: str | None = None) -> Fault:
    """A 429 with these `retry-after` and `retry-after-ms`; the client is told `told_ms`."""
    rule = {"status": 429, "headers": {"retry-after": seconds, "retry-after-ms": milliseconds}}
    return Fault(rule, 429, "rate_limit_exceeded", retry=True, fails_over=True, retry_after_ms=told_ms)


def coded(status: int, code: str, message: str = "No.") -> dict[str, Any]:
    return {"status": status, "body": {"error": {"code": code, "message": message}}}


ANY = {
    "reset": Fault({"reset": True}, 502, "upstream_no_reply", retry=True, fails_over=True),
    "reset, the model ran": Fault(
        {"reset": True, "billed": True}, 502, "upstream_no_reply", retry=True, fails_over=True, billed=True
    ),
    "400": Fault(coded(400, "BadRequest"), 400, "BadRequest", retry=False, fails_over=False),
    "401 bad key": Fault({"status": 401}, 502, "upstream_misconfigured", retry=False, fails_over=True),
    "401 no role": Fault(
        coded(401, "PermissionDenied"), 502, "upstream_misconfigured", retry=False, fails_over=True
    ),
    "403 firewall": Fault(coded(403, "AccessDenied"), 502, "upstream_misconfigured", retry=False, fails_over=True),
    "404 deployment": Fault({"status": 404}, 404, "DeploymentNotFound", retry=False, fails_over=True),
    "404 path": Fault(
        coded(404, "404", "Resource not found"), 502, "upstream_misconfigured", retry=False, fails_over=True
    ),
    "408": Fault({"status": 408}, 504, "upstream_timeout", retry=False, fails_over=False),
    "409": Fault(coded(409, "Conflict"), 400, "Conflict", retry=False, fails_over=False),
    "429 no header": limited(None),
    "429 retry-after 0": limited(None, "0"),
    "429 retry-after -1": limited(None, "-1"),
    "429 retry-after 3": limited(3000, "3"),
    "429 retry-after 86400": limited(60_000, "86400"),
    "429 a far date": limited(60_000, "Fri, 31 Dec 2999 23:59:59 GMT"),
    "429 a past date": limited(None, "Fri, 31 Dec 1999 23:59:59 GMT"),
    "429 words": limited(None, "soon"),
    "429 only -ms": limited(1500, None, "1500"),
    "429 -ms wins": limited(1500, "30", "1500"),
    "429 -ms -1": limited(4000, "4", "-1"),
    "500": Fault({"status": 500}, 502, "upstream_error", retry=True, fails_over=True),
    "502 HTML": Fault({"html": True}, 502, "upstream_error", retry=True, fails_over=True),
    "503": Fault({"status": 503}, 503, "service_unavailable", retry=True, fails_over=True),
    "504": Fault({"status": 504}, 504, "upstream_timeout", retry=False, fails_over=False),
    "529": Fault({"status": 529}, 502, "upstream_error", retry=True, fails_over=True),
    "302": Fault(
        {"status": 302, "headers": {"location": "https://evil.example/"}}, 502, "upstream_error", retry=True,
        fails_over=True,
    ),
    "silence": Fault({"delay_ms": 5000}, 504, "upstream_timeout", retry=False, fails_over=False, billed=True),
}  # fmt: skip
WHOLE = {
    "empty 200": Fault({"empty": True}, 502, "upstream_error", retry=True, fails_over=True),
    "HTML 200": Fault({"html": True, "status": 200}, 502, "upstream_error", retry=True, fails_over=True),
    "cut in its middle": Fault(
        {"cut_after_bytes": 50}, 502, "upstream_no_reply", retry=True, fails_over=True, billed=True
    ),
    "silence after its headers": Fault(
        {"first_byte_delay_ms": 5000}, 504, "upstream_timeout", retry=False, fails_over=False, billed=True
    ),
}
STREAMED = {
    "empty 200": Fault({"empty": True}, 502, "upstream_error", retry=True, fails_over=True),
    "HTML 200": Fault({"html": True, "status": 200}, 502, "upstream_error", retry=True, fails_over=True),
    "cut before its first byte": Fault(
        {"cut_after_bytes": 0}, 502, "upstream_no_reply", retry=True, fails_over=True, billed=True
    ),
    "cut in its filter chunk": Fault(
        {"cut_after_bytes": 50}, 502, "upstream_no_reply", retry=True, fails_over=True, billed=True
    ),
    "cut after its filter chunk": Fault(
        {"cut_after_events": 1}, 502, "upstream_no_reply", retry=True, fails_over=True, billed=True
    ),
}
CELLS = [
    *(pytest.param(fault, stream, id=f"{name}-{'streamed' if stream else 'whole'}")
      for stream in (False, True) for name, fault in ANY.items()),
    *(pytest.param(fault, False, id=f"{name}-whole") for name, fault in WHOLE.items()),
    *(pytest.param(fault, True, id=f"{name}-streamed") for name, fault in STREAMED.items()),
]  # fmt: skip


def check_error(run: Running, answer: httpx.Response, fault: Fault) -> dict[str, Any]:
    """One well-formed error with the right retry signal, which tells nothing of the upstream; gives the error."""
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()["error"]
    assert answer.json() == {"error": error}
    assert {"message", "type", "param", "code"} <= set(error)
    assert (answer.status_code, error["code"]) == (fault.status, fault.code)
    assert answer.headers["x-should-retry"] == str(fault.retry).lower()
    if fault.retry_after_ms is None:
        assert "retry-after-ms" not in answer.headers
        assert "retry-after" not in answer.headers
    else:
        assert answer.headers["retry-after-ms"] == str(fault.retry_after_ms)
        assert answer.headers["retry-after"] == str(-(-fault.retry_after_ms // 1000))
    assert answer.headers["x-request-id"]
    assert answer.headers["x-spillway-call-id"]
    assert "evil.example" not in str(answer.headers)
    run.assert_discreet(str(answer.headers), answer.text)
    return error


@pytest.mark.parametrize(("fault", "stream"), CELLS)
def test_a_fault_is_one_error_with_the_right_retry_signal(spillway: Spillway, fault: Fault, stream: bool) -> None:
    run = spillway(ONE)
    run.sim.fault(resource="east", **fault.rule)
    answer = run.chat(stream=stream)
    check_error(run, answer, fault)
    assert answer.headers["x-spillway-attempts"] == "1"
    [call] = run.calls()
    assert (call["status"], call["code"], call["outcome"]) == (fault.status, fault.code, "error")
    run.await_rest()
    assert len(run.sim.bill()) == int(fault.billed)


@pytest.mark.parametrize(("fault", "stream"), CELLS)
def test_another_deployment_serves_unless_an_answer_is_perhaps_still_being_made(
    spillway: Spillway, fault: Fault, stream: bool
) -> None:
    run = spillway(TWO)
    run.sim.fault(resource="east", **fault.rule)
    answer = run.chat(stream=stream)
    if not fault.fails_over:
        check_error(run, answer, fault)
        assert answer.headers["x-spillway-attempts"] == "1"
        assert {sent["resource"] for sent in run.sent()} == {"east"}
        return
    assert answer.status_code == 200
    assert (answer.headers["x-spillway-attempts"], answer.headers["x-spillway-model-id"]) == ("2", "west")
    [call] = run.calls()
    assert (call["attempts"], call["deployment_id"], call["outcome"]) == (2, "west", "ok")
    run.await_rest()
    *first, line = run.sim.bill()
    assert [one["resource"] for one in first] == ["east"] * fault.billed
    assert line["resource"] == "west"
    assert line["client_request_id"] == f"{call['call_id']}.2"
    if fault.code == "upstream_no_reply":  # the first attempt is perhaps billed, and counted by its estimate
        assert call["prompt_tokens"] > line["prompt_tokens"]
    else:
        assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])
    run.assert_discreet(str(answer.headers), answer.text)


@pytest.mark.parametrize("fault", ["silence", "reset, the model ran", "cut in its middle", "silence after its headers"])
def test_a_failure_that_azure_may_bill_is_recorded_with_an_estimate(spillway: Spillway, fault: str) -> None:
    run = spillway(ONE)
    run.sim.fault(**(ANY | WHOLE)[fault].rule)
    run.chat()
    [call] = run.calls()
    assert call["usage_source"] == "estimated"
    assert call["prompt_tokens"] > 0


def test_json_that_breaks_off_is_a_502(spillway: Spillway) -> None:
    run = spillway(ONE)
    run.sim.fault(truncate=True)
    assert check_error(run, run.chat(), Fault({}, 502, "upstream_no_reply", retry=True, fails_over=True))
    run.await_rest()


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("base", ["http://127.0.0.1:%d", "https://127.0.0.1:%d", "http://nowhere.invalid:%d"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_deployment_that_cannot_be_reached_is_a_502_and_another_one_serves(
    spillway: Spillway, base: str, stream: bool
) -> None:
    base %= closed_port()
    entry = ENTRY % (base, "k", 1, "nobody")
    run = spillway("model_list:" + entry)
    answer = run.chat(stream=stream)
    check_error(run, answer, Fault({}, 502, "upstream_unreachable", retry=True, fails_over=True))
    assert not [text for text in (answer.text, *run.log.messages[1:]) if base.partition("//")[2] in text]
    run.await_rest()
    run = spillway("model_list:" + entry + WEST)
    answer = run.chat(stream=stream)
    assert (answer.status_code, answer.headers["x-spillway-attempts"]) == (200, "2")
    run.await_rest()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tls_spoken_to_a_server_without_it_is_a_502(spillway: Spillway, stream: bool) -> None:
    run = spillway(("model_list:" + EAST).replace("$SIM", "https://" + spillway().sim_url.removeprefix("http://")))
    answer = run.chat(stream=stream)
    assert check_error(run, answer, Fault({}, 502, "upstream_unreachable", retry=True, fails_over=True))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("401 bad key", "The key or token is not valid for this resource"),
        ("401 no role", "Cognitive Services OpenAI User"),
        ("404 deployment", "The deployment, the path or the api-version is unknown"),
        ("404 path", "The deployment, the path or the api-version is unknown"),
        ("403 firewall", "AccessDenied"),
    ],
)
def test_the_log_tells_the_operator_what_to_do(spillway: Spillway, fault: str, says: str) -> None:
    run = spillway(ONE)
    run.sim.fault(**ANY[fault].rule)
    run.chat()
    assert [line for line in run.log.messages if says in line]


def test_a_deployment_that_refuses_is_named_once_a_minute(spillway: Spillway) -> None:
    run = spillway(ONE)
    run.sim.fault(status=401, times=None)
    for _ in range(3):
        run.chat()
    assert len([line for line in run.log.messages if "is refused" in line]) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_when_all_are_full_the_soonest_retry_is_told(spillway: Spillway, stream: bool) -> None:
    run = spillway(TWO)
    for resource, wait_ms in (("east", 9000), ("west", 4000)):
        headers = {"retry-after-ms": str(wait_ms), "retry-after": None}
        run.sim.fault(resource=resource, status=429, headers=headers)
    answer = run.chat(stream=stream)
    check_error(run, answer, limited(4000))
    assert answer.headers["x-spillway-attempts"] == "2"
    assert run.sim.bill() == []


@pytest.mark.parametrize("first", ["401 bad key", "500", "404 deployment"])
def test_a_full_deployment_explains_more_than_a_broken_one(spillway: Spillway, first: str) -> None:
    run = spillway(TWO)
    run.sim.fault(resource="east", **ANY[first].rule)
    run.sim.fault(resource="west", status=429, headers={"retry-after-ms": "4000", "retry-after": None})
    assert check_error(run, run.chat(), limited(4000))


def test_retries_end_with_num_retries(spillway: Spillway) -> None:
    run = spillway("model_list:" + EAST + WEST + "router_settings: {num_retries: 0}\n")
    run.sim.fault(resource="east", status=503)
    assert run.chat().status_code == 503
    assert len(run.sent()) == 1


def test_a_deployment_that_was_full_is_left_alone_while_another_serves(spillway: Spillway) -> None:
    run = spillway(TWO)
    run.sim.fault(resource="east", status=429, headers={"retry-after-ms": "60000"})
    assert [run.chat().headers["x-spillway-model-id"] for _ in range(4)] == ["west"] * 4
    assert [sent["resource"] for sent in run.sent()] == ["east"] + ["west"] * 4


def test_a_real_rate_limit_overflows_to_the_next_deployment(spillway: Spillway) -> None:
    run = spillway(TWO)
    run.sim.deployment("east", "gpt-4o", rpm=12, rpm_window_s=10.0)
    answers = [run.chat() for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert [answer.headers["x-spillway-model-id"] for answer in answers] == ["east"] * 2 + ["west"] * 3
    assert len(run.sim.bill()) == 5


def test_a_rate_limit_inside_a_stream_is_a_true_429(spillway: Spillway) -> None:
    run = spillway(ONE)
    run.sim.deployment("east", "gpt-4o", tpm=1, ratelimit_in_stream=True)
    answer = run.chat(stream=True)
    check_error(run, answer, limited(None))
    run.await_rest()
    assert run.sim.bill() == []


def test_a_rate_limit_inside_a_stream_overflows_to_the_next_deployment(spillway: Spillway) -> None:
    run = spillway(TWO)
    run.sim.deployment("east", "gpt-4o", tpm=1, ratelimit_in_stream=True)
    answer = run.chat(stream=True)
    assert (answer.status_code, answer.headers["x-spillway-attempts"]) == (200, "2")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert [line["resource"] for line in run.sim.bill()] == ["west"]
    run.await_rest()


@pytest.mark.parametrize("shape", ["type error", "nested", "failed"])
def test_every_shape_of_a_first_error_event_fails_over(spillway: Spillway, shape: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "type error": {"type": "error", "code": "too_many_requests", "message": "Too Many Requests"},
        "nested": {"type": "error", "error": {"type": "too_many_requests", "code": None, "message": "Too Many"}},
        "failed": {"error": {"code": "InternalServerError", "message": "Oops"}},
    }
    run = spillway(TWO)
    run.sim.fault(resource="east", error_event_after_events=1, body=bodies[shape])
    answer = run.chat(stream=True)
    assert (answer.status_code, answer.headers["x-spillway-attempts"]) == (200, "2")
    assert "error" not in answer.text
