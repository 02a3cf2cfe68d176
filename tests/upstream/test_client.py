from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest

from shared.catalog.capabilities import UNKNOWN
from shared.catalog.policy import ParameterPolicy
from shared.config import Timeouts
from shared.errors import (
    BadRequest,
    ContentFiltered,
    DeploymentNotFound,
    RateLimited,
    SpillwayError,
    Unavailable,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamNoReply,
    UpstreamUnreachable,
)
from shared.upstream.client import COMPLAINT_PAUSE_S, COMPLAINTS_MAX, ERROR_BYTES_MAX, Outgoing, UpstreamClient
from shared.upstream.credentials import Credential, api_key
from shared.upstream.deployment import Deployment
from shared.upstream.endpoint import Endpoint
from shared.upstream.transport import create_transport, read
from shared.upstream.wire import Response
from tests.httpx_wire import Upstream

OUTGOING = Outgoing(
    operation="chat_completions",
    path="chat/completions",
    content=b'{"model":"gpt-4o"}',
    entry_id="call_20260101_0123456789ab_1.1",
    accept="application/json",
    first_byte_s=5.0,
)
Handler = Callable[[httpx.Request], httpx.Response]


def deployment(credential: Credential | None = None, id: str = "dep_1") -> Deployment:
    return Deployment(
        model_name="gpt-4o",
        name="my-gpt-4o",
        id=id,
        resource_id="res_1",
        provider="azure",
        endpoint=Endpoint("azure", "https://r.openai.azure.com", api_version="2024-10-21"),
        credential=credential or api_key("upstream-key", bearer=False),
        timeouts=Timeouts(),
        version_policy="upgrade",
        parameters=ParameterPolicy(),
        capability=UNKNOWN,
        mode="chat",
        base_model=None,
        order=None,
        weight=1.0,
    )


async def ask(handler: Handler, credential: Credential | None = None, outgoing: Outgoing = OUTGOING) -> Response:
    return await UpstreamClient(Upstream(handler)).send(deployment(credential), outgoing)


class Rotating:
    """A credential whose value changes when it is refused."""

    def __init__(self) -> None:
        self.number = 1
        self.refusals: list[str] = []

    async def header(self) -> tuple[str, str]:
        return "authorization", f"Bearer token-{self.number}"

    def refused(self, value: str) -> bool:
        self.refusals.append(value)
        self.number += 1
        return True


async def test_a_success_comes_back_unread() -> None:
    response = await ask(lambda _: httpx.Response(200, content=b'{"ok":1}'))
    assert (response.status, await read(response, idle_s=1)) == (200, b'{"ok":1}')


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":{"code":"unsupported_value","message":"No."}}', BadRequest),
        (400, b'{"error":{"code":"content_filter","message":"No."}}', ContentFiltered),
        (401, b"", UpstreamMisconfigured),
        (403, b"", UpstreamMisconfigured),
        (404, b'{"error":{"code":"DeploymentNotFound","message":"No."}}', DeploymentNotFound),
        (404, b"", UpstreamMisconfigured),
        (429, b"", RateLimited),
        (500, b"", UpstreamFailed),
        (503, b"", Unavailable),
    ],
)
async def test_every_other_status_is_an_error(status: int, body: bytes, kind: type[SpillwayError]) -> None:
    with pytest.raises(SpillwayError) as caught:
        await ask(lambda _: httpx.Response(status, content=body))
    assert type(caught.value) is kind


async def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": "https://elsewhere.test/"})

    with pytest.raises(UpstreamFailed):
        await ask(handler)
    assert asked == ["r.openai.azure.com"]


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "*/*"])
async def test_exactly_the_listed_headers_are_sent(accept: str) -> None:
    """Beside `host` and `content-length`, which the transport writes."""
    sent = await request_of(replace(OUTGOING, accept=accept))
    assert dict(sent.headers) == {
        "content-type": "application/json",
        "accept": accept,
        "accept-encoding": "identity",
        "user-agent": "spillway",
        "api-key": "upstream-key",
        "x-ms-client-request-id": "call_20260101_0123456789ab_1.1",
    }


async def test_the_body_is_sent_as_it_is() -> None:
    assert (await request_of(OUTGOING)).content == OUTGOING.content


async def test_the_request_goes_to_the_deployments_address() -> None:
    sent = await request_of(OUTGOING)
    assert (sent.method, str(sent.url)) == (
        "POST",
        "https://r.openai.azure.com/openai/deployments/my-gpt-4o/chat/completions?api-version=2024-10-21",
    )


async def test_a_refused_key_is_not_tried_again() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["api-key"])
        return httpx.Response(401)

    with pytest.raises(UpstreamMisconfigured):
        await ask(handler)
    assert asked == ["upstream-key"]


async def test_a_refused_token_is_replaced_and_the_request_sent_once_more() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["authorization"])
        return httpx.Response(401 if len(asked) == 1 else 200)

    response = await ask(handler, Rotating())
    assert (response.status, asked) == (200, ["Bearer token-1", "Bearer token-2"])


async def test_the_refusal_of_a_token_does_not_hold_its_connection() -> None:
    refusal = Closing()

    def handler(request: httpx.Request) -> httpx.Response:
        refused = request.headers["authorization"] == "Bearer token-1"
        return httpx.Response(401, stream=refusal) if refused else httpx.Response(200)

    await ask(handler, Rotating())
    assert refusal.closed


async def test_a_token_refused_twice_is_the_operators_affair() -> None:
    credential, asked = Rotating(), []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["authorization"])
        return httpx.Response(401)

    with pytest.raises(UpstreamMisconfigured):
        await ask(handler, credential)
    assert (len(asked), credential.refusals) == (2, ["Bearer token-1"])


async def test_a_wait_that_azure_names_is_kept() -> None:
    with pytest.raises(RateLimited) as caught:
        await ask(lambda _: httpx.Response(429, headers={"retry-after": "7"}))
    assert caught.value.retry_after_ms == 7000


async def test_a_broken_connection_is_no_reply() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    with pytest.raises(UpstreamNoReply):
        await ask(handler)


async def test_a_rate_limit_whose_body_is_cut_is_still_a_rate_limit() -> None:
    with pytest.raises(RateLimited) as caught:
        await ask(lambda _: httpx.Response(429, headers={"retry-after": "7"}, content=cut(b'{"error":')))
    assert caught.value.retry_after_ms == 7000


async def test_an_error_with_an_endless_body_is_still_that_error() -> None:
    with pytest.raises(RateLimited):
        await ask(lambda _: httpx.Response(429, content=b"x" * (ERROR_BYTES_MAX + 1)))


async def test_the_operator_is_told_why_azure_refuses(caplog: pytest.LogCaptureFixture) -> None:
    body = b'{"error":{"code":"PermissionDenied","message":"Principal does not have access to API/Operation."}}'
    with pytest.raises(UpstreamMisconfigured):
        await ask(lambda _: httpx.Response(401, content=body))
    assert "gpt-4o (deployment my-gpt-4o) is refused: 401 PermissionDenied" in caplog.text
    assert "Cognitive Services OpenAI User" in caplog.text


async def test_the_log_never_shows_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UpstreamMisconfigured):
        await ask(lambda _: httpx.Response(403))
    assert caplog.text
    assert "upstream-key" not in caplog.text


async def test_a_complaint_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("shared.upstream.client.time", FakeTime(lambda: now))
    client = UpstreamClient(Upstream(lambda _: httpx.Response(403)))
    counts: list[int] = []
    for later in (0.0, COMPLAINT_PAUSE_S - 1, 1.0):
        now += later
        with pytest.raises(UpstreamMisconfigured):
            await client.send(deployment(), OUTGOING)
        counts.append(caplog.text.count("is refused"))
    assert counts == [1, 1, 2]


async def test_each_deployment_is_complained_of_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    client = UpstreamClient(Upstream(lambda _: httpx.Response(403)))
    for id in ("dep_1", "dep_2"):
        with pytest.raises(UpstreamMisconfigured):
            await client.send(deployment(id=id), OUTGOING)
    assert caplog.text.count("is refused") == 2


async def test_complaints_are_remembered_of_so_many_deployments_only(caplog: pytest.LogCaptureFixture) -> None:
    client = UpstreamClient(Upstream(lambda _: httpx.Response(403)))
    for number in [*range(COMPLAINTS_MAX + 1), COMPLAINTS_MAX, 0]:
        with pytest.raises(UpstreamMisconfigured):
            await client.send(deployment(id=f"dep_{number}"), OUTGOING)
    assert caplog.text.count("is refused") == COMPLAINTS_MAX + 2  # the last is still known, the first no more


async def test_a_deployment_that_cannot_be_reached_is_named_without_its_host(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        nowhere = replace(deployment(), endpoint=Endpoint("azure", origin, api_version="2024-10-21"))
        client = UpstreamClient(create_transport(10))
        with pytest.raises(UpstreamUnreachable):
            await client.send(nowhere, OUTGOING)
        await client.close()
    assert "gpt-4o (deployment my-gpt-4o) cannot be reached: " in caplog.text
    assert "refused" in caplog.text
    assert "127.0.0.1" not in caplog.text


async def test_what_the_client_can_mend_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BadRequest):
        await ask(lambda _: httpx.Response(400))
    assert caplog.records == []


async def request_of(outgoing: Outgoing) -> httpx.Request:
    """The request that is sent for `outgoing`."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    await ask(handler, outgoing=outgoing)
    return seen[0]


async def cut(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk
    raise httpx.ReadError("connection reset")


class Closing(httpx.AsyncByteStream):
    """An empty body that notes when it is closed."""

    closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b""

    async def aclose(self) -> None:
        self.closed = True


class FakeTime:
    """The two clocks of `time` that the client reads."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.monotonic = self.time = now
