from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest

from shared.operations import opening, streamed
from shared.operations.reply import BufferedReply, StreamedReply
from shared.spend.pricing import usd
from shared.upstream.sse import EVENT_BYTES_MAX, Framer, data_of
from tests.told import told

pytest_plugins = ("tests.operations.by_hand",)

MakeHouse = Callable[..., Any]
HEAD = b'"id":"chatcmpl-1","object":"chat.completion.chunk","model":"m"'
A = b"data: {" + HEAD + b',"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
STOP = b"data: {" + HEAD + b',"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b"data: {" + HEAD + b',"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}\n\n'
FILTER = (
    b'data: {"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n'
)
LIMITED = b'data: {"error":{"code":"429","message":"Requests have exceeded the token rate limit."}}\n\n'
DONE = b"data: [DONE]\n\n"
ENDLESS: list[bytes | float] = [A, 0.01] * 200
KEEP_ALIVE = b": keep-alive\n\n"
QUICK = "keepalive_s: 0.02, disconnect_drain_s: 0.04"


class Upstream(httpx.AsyncByteStream):
    """A streamed answer: bytes to send, seconds to wait, errors to raise; notes when it was read and closed."""

    def __init__(self, *script: bytes | float | Exception) -> None:
        self.sent = 0
        self.closed = False
        self._script = script

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self._script:
            if isinstance(step, bytes):
                self.sent += 1
                yield step
            elif isinstance(step, Exception):
                raise step
            else:
                await asyncio.sleep(step)

    async def aclose(self) -> None:
        self.closed = True

    def __call__(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"apim-request-id": "1234"}, stream=self)


def by_host(**handlers: Any) -> Callable[[httpx.Request], httpx.Response]:
    """An upstream whose deployments answer each its own way."""
    return lambda request: handlers[request.url.host[0]](request)


def late(seconds: float, then: Any) -> Callable[[httpx.Request], Any]:
    """An upstream whose headers take so long."""

    async def handler(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        response: httpx.Response = then(request)
        return response

    return handler


def status(code: int, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(code, headers=headers)


def error_in(written: bytes) -> Any:
    """The error of the last event, after which there is no [DONE]."""
    data = data_of(Framer().feed(written)[-1])
    return orjson.loads(data or b"{}").get("error")


WHOLE = (A, STOP, USAGE, DONE)


# What a client reads.


async def test_events_are_forwarded_byte_for_byte_and_end_with_done(house: MakeHouse) -> None:
    odd = b'event: x\r\ndata: {"id":"chatcmpl-1" , "choices":[{"index":0,"delta":{"content":"\\u00e9"}}]}\r\n\r\n'
    assert (
        await house(Upstream(odd, b": note\n\n", A, STOP, USAGE, DONE)).streamed()
        == odd + b": note\n\n" + A + STOP + DONE
    )


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_how_azure_cuts_its_answer_changes_nothing(house: MakeHouse, size: int) -> None:
    whole = b"".join(WHOLE)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert await house(Upstream(*pieces)).streamed() == A + STOP + DONE


async def test_a_client_that_asked_for_usage_gets_it(house: MakeHouse) -> None:
    assert await house(Upstream(*WHOLE)).streamed(stream_options={"include_usage": True}) == b"".join(WHOLE)


async def test_usage_is_asked_for_upstream(house: MakeHouse) -> None:
    home = house(Upstream(*WHOLE))
    await home.streamed()
    assert orjson.loads(home.asked[0].content)["stream_options"] == {"include_usage": True}


async def test_a_streams_headers_say_who_serves_it(house: MakeHouse) -> None:
    headers = (await house(Upstream(*WHOLE)).opened()).headers
    assert (headers["x-spillway-deployment"], headers["x-spillway-attempts"], headers["x-request-id"]) == (
        "a",
        "1",
        "1234",
    )


async def test_an_answer_that_ends_without_done_but_whole_is_complete(house: MakeHouse) -> None:
    assert await house(Upstream(A, STOP)).streamed() == A + STOP + DONE


async def test_a_last_event_without_its_blank_line_counts(house: MakeHouse) -> None:
    home = house(Upstream(A, STOP.rstrip(b"\n")))
    assert (await home.streamed()).endswith(b'"finish_reason":"stop"}]}\n\n' + DONE)


async def test_what_comes_after_done_is_not_forwarded(house: MakeHouse) -> None:
    assert await house(Upstream(A, STOP, DONE + A, A)).streamed() == A + STOP + DONE


# What is recorded.


async def test_a_stream_is_recorded_with_its_usage(house: MakeHouse) -> None:
    home = house(Upstream(*WHOLE))
    await home.streamed()
    record = home.record
    assert (record["status"], record["outcome"], record["stream"]) == (200, "ok", True)
    assert (record["prompt_tokens"], record["completion_tokens"], record["usage_source"]) == (9, 3, "upstream")


async def test_a_stream_without_usage_is_estimated(house: MakeHouse) -> None:
    home = house(Upstream(A, A, A, A, STOP, DONE))
    await home.streamed()
    assert (home.record["usage_source"], home.record["completion_tokens"]) == ("estimated", 1)


async def test_nothing_is_left_of_a_stream(house: MakeHouse) -> None:
    upstream = Upstream(*WHOLE)
    home = house(upstream)
    await home.streamed()
    await home.rest()
    assert (upstream.closed, home.in_flight, len(home.records)) == (True, 0, 1)


async def test_an_upstream_that_does_not_end_after_done_is_closed(
    house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "TAIL_S", 0.02)
    upstream = Upstream(*WHOLE, 10.0)
    home = house(upstream)
    written = await home.streamed()
    await home.rest()
    assert (written, upstream.closed, home.record["outcome"]) == (A + STOP + DONE, True, "ok")


async def test_an_upstream_that_breaks_after_done_has_said_all(house: MakeHouse) -> None:
    upstream = Upstream(*WHOLE, httpx.ReadError("reset"))
    home = house(upstream)
    written = await home.streamed()
    await home.rest()
    assert (written, upstream.closed, home.record["outcome"]) == (A + STOP + DONE, True, "ok")


# Failing over, while the client has seen nothing.


@pytest.mark.parametrize("code", [429, 500, 503, 401, 404])
async def test_a_status_other_than_success_goes_to_the_next(house: MakeHouse, code: int) -> None:
    home = house(by_host(a=status(code), b=Upstream(*WHOLE)))
    assert (await home.streamed(), home.hosts) == (A + STOP + DONE, ["a", "b"])


@pytest.mark.parametrize("before", [b"", FILTER, b": note\n\n", FILTER + FILTER])
async def test_a_rate_limit_inside_a_stream_goes_to_the_next(house: MakeHouse, before: bytes) -> None:
    first = Upstream(before + LIMITED)
    home = house(by_host(a=first, b=Upstream(*WHOLE)))
    assert await home.streamed() == A + STOP + DONE
    assert (home.hosts, first.closed) == (["a", "b"], True)


async def test_what_was_held_back_of_a_failed_attempt_is_not_shown(house: MakeHouse) -> None:
    home = house(by_host(a=Upstream(b": from a\n\n", LIMITED), b=Upstream(*WHOLE)))
    assert b"from a" not in await home.streamed()


async def test_an_error_behind_the_filter_chunk_has_its_true_status(house: MakeHouse) -> None:
    reply = await house(Upstream(FILTER, LIMITED)).chat(stream=True)
    assert isinstance(reply, BufferedReply)
    assert (reply.status, reply.headers["x-should-retry"], reply.headers["x-spillway-attempts"]) == (429, "true", "2")


async def test_a_failed_opening_leaves_nothing(house: MakeHouse) -> None:
    upstream = Upstream(FILTER, LIMITED)
    home = house(upstream)
    await home.chat(stream=True)
    await home.rest()
    assert (upstream.closed, home.in_flight, home.record["status"], home.record["outcome"]) == (True, 0, 429, "error")


async def test_a_refused_prompt_is_a_400_and_asked_once(house: MakeHouse) -> None:
    refusal = {"error": {"code": "content_filter", "message": "Filtered.", "innererror": {"code": "x"}}}
    home = house(lambda _: httpx.Response(400, json=refusal))
    reply = await home.chat(stream=True)
    assert isinstance(reply, BufferedReply)
    assert (reply.status, orjson.loads(reply.body)["error"]["innererror"], home.hosts) == (400, {"code": "x"}, ["a"])


@pytest.mark.parametrize("script", [(), (FILTER,), (httpx.ReadError("reset"),)], ids=["empty", "filter only", "reset"])
async def test_a_stream_that_ends_before_it_began_is_a_failure_with_its_status(house: MakeHouse, script: Any) -> None:
    home = house(Upstream(*script))
    reply = await home.chat(stream=True)
    await home.rest()
    assert (reply.status, home.in_flight) == (502, 0)


async def test_the_first_data_is_waited_for_only_so_long(house: MakeHouse) -> None:
    home = house(Upstream(FILTER, 0.1, LIMITED), hold_back_s=0.02)
    assert error_in(await home.streamed())["code"] == "rate_limit_exceeded"
    assert home.hosts == ["a"]


# Silence.


async def test_in_a_long_silence_the_client_gets_comments(house: MakeHouse) -> None:
    home = house(Upstream(A, 0.09, STOP, DONE), general="keepalive_s: 0.02")
    written = await home.streamed()
    assert written.replace(KEEP_ALIVE, b"") == A + STOP + DONE
    assert 1 <= written.count(KEEP_ALIVE) <= 5


async def test_before_a_late_answer_the_client_gets_comments(house: MakeHouse) -> None:
    home = house(late(0.3, Upstream(*WHOLE)), general="keepalive_s: 0.02")
    written = await home.streamed()
    assert written.startswith(KEEP_ALIVE)
    assert A + STOP in written


async def test_who_served_a_late_answer_is_told_in_a_closing_comment(house: MakeHouse) -> None:
    home = house(late(0.05, Upstream(*WHOLE)), general="keepalive_s: 0.02")
    reply = await home.opened()
    await reply.run(home.write)
    assert "x-spillway-deployment" not in reply.headers
    assert home.written.endswith(b"}\n\n" + DONE)
    assert (told(home.written)["x-spillway-deployment"], told(home.written)["x-spillway-model-id"]) == ("a", "east")


async def test_what_a_stream_cost_is_told_in_a_closing_comment(house: MakeHouse) -> None:
    home = house(Upstream(*WHOLE))
    await home.streamed()
    assert home.written.endswith(b"}\n\n" + DONE)
    assert told(home.written) == {
        "x-spillway-deployment": "a",
        "x-spillway-attempts": "1",
        "x-spillway-cost-usd": usd(round(home.record["cost_usd"] * 1e12)),
    }


async def test_a_failure_after_the_silence_is_an_error_event(house: MakeHouse) -> None:
    home = house(late(0.05, status(400)), general="keepalive_s: 0.02")
    written = await home.streamed()
    assert error_in(written)["type"] == "invalid_request_error"
    assert DONE not in written
    await home.rest()
    assert (home.record["status"], home.record["outcome"]) == (400, "error")


async def test_failing_over_goes_on_after_the_silence(house: MakeHouse) -> None:
    home = house(late(0.03, by_host(a=status(429), b=Upstream(*WHOLE))), general="keepalive_s: 0.02")
    assert (await home.streamed()).replace(KEEP_ALIVE, b"").startswith(A + STOP)
    assert home.hosts == ["a", "b"]


# Endings that are none.


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ((A, httpx.ReadError("reset")), "stream_broken"),
        ((A,), "stream_broken"),
        ((A, b'data: {"id":"chat'), "stream_broken"),
        ((A, b"data: nonsense\n\n"), "stream_broken"),
        ((A, LIMITED), "rate_limit_exceeded"),
        ((A + LIMITED,), "rate_limit_exceeded"),
    ],
    ids=["reset", "end", "cut event", "no JSON", "error event", "error event in the same chunk"],
)
async def test_a_stream_that_breaks_ends_in_an_error_and_without_done(house: MakeHouse, script: Any, code: str) -> None:
    home = house(Upstream(*script))
    written = await home.streamed()
    assert (written.startswith(A), DONE in written, error_in(written)["code"]) == (True, False, code)
    assert home.hosts == ["a"]


async def test_an_event_that_is_too_large_breaks_the_stream(house: MakeHouse) -> None:
    upstream = Upstream(A, b"data: " + b"x" * EVENT_BYTES_MAX, 10.0)
    home = house(upstream)
    written = await home.streamed()
    await home.rest()
    assert (written.startswith(A), error_in(written)["code"], upstream.closed) == (True, "stream_broken", True)


async def test_a_broken_stream_is_recorded_with_what_passed_by(house: MakeHouse) -> None:
    home = house(Upstream(A, A, A, A, A, httpx.ReadError("reset")))
    await home.streamed()
    await home.rest()
    record = home.record
    assert (record["status"], record["outcome"], record["usage_source"], record["completion_tokens"]) == (
        502,
        "broken",
        "estimated",
        2,
    )


async def test_an_upstream_that_falls_silent_is_given_up(house: MakeHouse) -> None:
    upstream = Upstream(A, 10.0)
    home = house(upstream, params="idle_timeout_s: 0.03")
    written = await home.streamed()
    await home.rest()
    assert (error_in(written)["code"], upstream.closed, home.record["outcome"]) == ("upstream_timeout", True, "broken")


async def test_a_stream_has_a_total(house: MakeHouse) -> None:
    home = house(Upstream(*ENDLESS), stream_total_s=0.05)
    written = await home.streamed()
    await home.rest()
    assert (error_in(written)["code"], home.in_flight) == ("upstream_timeout", 0)


async def test_a_fault_of_ours_in_a_stream_tells_nothing(house: MakeHouse) -> None:
    home = house(Upstream(A, ZeroDivisionError("secret")))
    written = await home.streamed()
    await home.rest()
    assert (error_in(written)["code"], b"secret" in written, home.in_flight) == ("internal_error", False, 0)


# Clients that leave or do not read.


async def test_when_the_client_leaves_the_stream_is_read_to_its_end(house: MakeHouse) -> None:
    upstream = Upstream(A, 0.3, STOP, USAGE, DONE)
    home = house(upstream)
    running = asyncio.create_task((await home.opened()).run(home.write))
    await home.until(lambda: home.written == A)
    await home.leave()
    await asyncio.wait_for(running, 5)
    await home.rest()
    assert (home.written, home.record["outcome"]) == (A, "disconnected")
    assert (home.record["usage_source"], home.record["completion_tokens"]) == ("upstream", 3)


async def test_when_the_client_leaves_the_stream_is_read_on_only_so_long(house: MakeHouse) -> None:
    upstream = Upstream(A, 10.0)
    home = house(upstream, general="disconnect_drain_s: 0.02")
    running = asyncio.create_task((await home.opened()).run(home.write))
    await home.until(lambda: home.written == A)
    await home.leave()
    await asyncio.wait_for(running, 5)
    await home.rest()
    assert (upstream.closed, home.in_flight) == (True, 0)
    assert (home.record["outcome"], home.record["usage_source"]) == ("disconnected", "estimated")


async def test_a_client_that_leaves_before_the_answer_began_is_a_499(house: MakeHouse) -> None:
    home = house(late(0.03, Upstream(*WHOLE)))
    asking = asyncio.create_task(home.chat(stream=True))
    await home.until(lambda: bool(home.asked))
    await home.leave()
    assert (await asking).status == 499
    await home.rest()
    assert (home.record["outcome"], home.record["usage_source"]) == ("disconnected", "upstream")


async def test_a_client_that_leaves_before_an_answer_that_never_comes(house: MakeHouse) -> None:
    home = house(late(10.0, Upstream(*WHOLE)), general="disconnect_drain_s: 0.02")
    asking = asyncio.create_task(home.chat(stream=True))
    await home.until(lambda: bool(home.asked))
    await home.leave()
    await asking
    await home.rest()
    assert (home.in_flight, home.record["outcome"]) == (0, "disconnected")


async def test_a_client_that_leaves_while_the_first_data_is_waited_for(house: MakeHouse) -> None:
    upstream = Upstream(FILTER, 10.0)
    home = house(upstream, general="disconnect_drain_s: 0.02", hold_back_s=0.01)
    running = asyncio.create_task((await home.opened()).run(home.write))
    await home.leave()
    await asyncio.wait_for(running, 5)
    await home.rest()
    assert (upstream.closed, home.in_flight, home.written) == (True, 0, b"")


async def test_a_client_that_leaves_in_the_silence(house: MakeHouse) -> None:
    home = house(late(10.0, Upstream(*WHOLE)), general=QUICK)
    running = asyncio.create_task((await home.opened()).run(home.write))
    await home.until(lambda: KEEP_ALIVE in home.written)
    await home.leave()
    await asyncio.wait_for(running, 5)
    await home.rest()
    assert (home.in_flight, home.record["outcome"]) == (0, "disconnected")


async def test_a_cancelled_handler_leaves_nothing_behind(house: MakeHouse) -> None:
    home = house(late(10.0, Upstream(*WHOLE)), general="disconnect_drain_s: 0.02")
    asking = asyncio.create_task(home.chat(stream=True))
    await home.until(lambda: bool(home.asked))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await home.rest()
    assert (home.in_flight, len(home.records)) == (0, 1)


async def test_a_cancelled_stream_leaves_nothing_behind(house: MakeHouse) -> None:
    upstream = Upstream(A, 10.0)
    home = house(upstream)
    running = asyncio.create_task((await home.opened()).run(home.write))
    await home.until(lambda: home.written == A)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await home.rest()
    assert (upstream.closed, home.in_flight, home.record["outcome"]) == (True, 0, "disconnected")


async def test_a_client_that_reads_nothing_does_not_hold_a_stream_beyond_its_total(
    house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed, "LAST_WORD_S", 0.02)
    home = house(Upstream(*ENDLESS), stream_total_s=0.05)
    stuck = asyncio.Event()

    async def never_read(_: bytes) -> None:
        await stuck.wait()

    reply = await home.opened()
    await asyncio.wait_for(reply.run(never_read), 5)
    await home.rest()
    assert home.in_flight == 0


async def test_a_client_that_does_not_read_its_keep_alive_is_sent_no_more_of_them(house: MakeHouse) -> None:
    home = house(Upstream(A, 0.15, STOP, DONE), general="keepalive_s: 0.01")
    waiting: list[bytes] = []
    stuck = asyncio.Event()

    async def stuck_on_comments(data: bytes) -> None:
        if data == KEEP_ALIVE:
            waiting.append(data)
            await stuck.wait()

    reply = await home.opened()
    await asyncio.wait_for(reply.run(stuck_on_comments), 5)
    stuck.set()
    assert len(waiting) == 1


async def test_a_write_that_fails_is_a_client_that_left(house: MakeHouse) -> None:
    home = house(Upstream(A, 0.02, *WHOLE))

    async def gone(_: bytes) -> None:
        raise OSError("client disconnected")

    reply = await home.opened()
    await asyncio.wait_for(reply.run(gone), 5)
    await home.rest()
    assert (home.in_flight, home.record["outcome"], home.record["usage_source"]) == (0, "disconnected", "upstream")


# The instance's own limits.


@pytest.mark.parametrize("tasks", [0, 1])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_refused_for_want_of_tasks_leaves_its_place_to_the_next(
    house: MakeHouse, tasks: int, stream: bool
) -> None:
    home = house(lambda request: Upstream(*WHOLE)(request), calls_max=1)
    home.limit_tasks(tasks)
    refused = await home.chat(stream=stream)
    home.limit_tasks(100)
    reply = await home.chat(stream=True)
    if isinstance(reply, StreamedReply):
        await reply.run(home.write)
    assert (refused.status, reply.status) == (503, 200)
