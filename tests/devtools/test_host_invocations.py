"""What the host does to a request, an answer and a handler that misbehaves; the traps of the platform among them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import azure.functions as func
import httpx
import pytest
from starlette.responses import JSONResponse, StreamingResponse

from devtools.host import create_host
from devtools.host.body import SPOOL_BYTES
from devtools.serving import serving
from shared.hosting import Request, Response

ROOT_PREFIX = {"extensions": {"http": {"routePrefix": ""}}}
disconnected = threading.Event()
closed = threading.Event()
invocations: list[str] = []


def blueprint() -> func.FunctionApp:
    """An app with one function for each thing that may happen."""
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="echo", methods=["POST"])
    async def echo(req: Request) -> Response:
        invocations.append("echo")
        return Response(await req.body(), headers={"x-seen": req.headers.get("x-seen", "")})

    @app.route(route="chunks", methods=["POST"])
    async def chunks(req: Request) -> Response:
        first = await anext(aiter(req.stream()))
        return Response(first, 201)

    @app.route(route="facts/{*rest}", methods=["GET"])
    async def facts(req: Request, context: Any) -> JSONResponse:
        return JSONResponse({
            "headers": dict(req.headers), "path": req.url.path, "raw_path": req.scope["raw_path"].decode(),
            "params": req.path_params, "client": req.client.host if req.client else None, "scheme": req.url.scheme,
            "query": req.url.query, "function": context.function_name, "invocation": context.invocation_id,
        })  # fmt: skip

    @app.route(route="headers", methods=["GET"])
    async def headers(req: Request) -> Response:
        hop = {"connection": "x", "strict-transport-security": "max-age=1", "keep-alive": "1", "x-own": "mine"}
        return Response(b"", headers={**hop, "x-frame-options": "SAMEORIGIN"})

    @app.route(route="none", methods=["GET"])
    async def none(req: Request) -> Response:
        return None  # type: ignore[return-value]

    @app.route(route="raises", methods=["GET"])
    async def raises(req: Request) -> Response:
        raise RuntimeError("a secret of the app")

    @app.route(route="cancelled", methods=["GET"])
    async def cancelled(req: Request) -> Response:
        raise asyncio.CancelledError

    @app.route(route="silent", methods=["GET"])
    async def silent(req: Request) -> Response:
        while not await req.is_disconnected():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        disconnected.set()
        return Response(b"nobody reads this")

    @app.route(route="stalls", methods=["GET"])
    async def stalls(req: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await asyncio.sleep(60)
            finally:
                closed.set()

        return StreamingResponse(body())

    @app.route(route="slow", methods=["GET"])
    async def slow(req: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(8):
                yield b"."
                await asyncio.sleep(0.1)

        return StreamingResponse(body())

    @app.route(route="breaks", methods=["GET"])
    async def breaks(req: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("in the middle")

        return StreamingResponse(body())

    @app.route(route="sync", methods=["GET"])
    def sync(req: Request) -> Response:
        return Response(threading.current_thread().name)

    return app


@contextmanager
def hosted(idle_timeout_s: float = 20.0, **environ: str) -> Iterator[httpx.Client]:
    settings = {"extensions": {"http": {"routePrefix": "", "customHeaders": {"X-Frame-Options": "DENY"}}}}
    host = create_host(blueprint(), environ, host_json=settings, idle_timeout_s=idle_timeout_s)
    with serving(host) as url, httpx.Client(base_url=url, timeout=5) as client:
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with hosted() as running:
        yield running


@pytest.fixture(scope="module")
def impatient() -> Iterator[httpx.Client]:
    """A host that gives up after 0.3 s without a byte, where Azure takes 230 s."""
    with hosted(0.3) as running:
        yield running


@pytest.fixture(scope="module")
def narrow() -> Iterator[httpx.Client]:
    with hosted(FUNCTIONS_REQUEST_BODY_SIZE_LIMIT="1000") as running:
        yield running


def test_no_match_is_an_empty_404(client: httpx.Client) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.content) == (404, b"")


def test_the_host_never_answers_405(client: httpx.Client) -> None:
    assert client.get("/echo").status_code == 404


def test_get_does_not_imply_head(client: httpx.Client) -> None:
    assert client.head("/none").status_code == 404


def test_a_body_arrives_whole(client: httpx.Client) -> None:
    body = bytes(range(256)) * 4096
    assert client.post("/echo", content=body).content == body


def test_a_large_body_arrives_whole(client: httpx.Client) -> None:
    body = bytes(range(256)) * 4 * (SPOOL_BYTES // 256) + b"end"
    assert client.post("/echo", content=body).content == body


def test_a_body_with_a_length_is_read_before_the_function_starts(client: httpx.Client) -> None:
    invocations.clear()
    with raw(client) as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        time.sleep(0.2)
        assert invocations == []
        sock.sendall(b"cd")
        assert received(sock, b"abcd")


def test_a_chunked_body_reaches_the_function_while_it_is_sent(client: httpx.Client) -> None:
    with raw(client) as sock:
        sock.sendall(b"POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        assert received(sock, b"201 Created")


def test_a_client_that_leaves_during_its_upload_invokes_nothing(client: httpx.Client) -> None:
    invocations.clear()
    with raw(client) as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
    time.sleep(0.2)
    assert invocations == []


def test_a_body_at_the_limit_is_taken(narrow: httpx.Client) -> None:
    assert narrow.post("/echo", content=b"x" * 1000).status_code == 200


def test_a_body_over_the_limit_is_an_empty_413(narrow: httpx.Client) -> None:
    answer = narrow.post("/echo", content=b"x" * 1001)
    assert (answer.status_code, answer.content) == (413, b"")


def test_a_chunked_body_over_the_limit_is_an_empty_413(narrow: httpx.Client) -> None:
    answer = narrow.post("/echo", content=iter([b"x" * 600, b"x" * 600]))
    assert (answer.status_code, answer.content) == (413, b"")


def test_the_limit_is_100_mib_by_default(client: httpx.Client) -> None:
    with raw(client) as sock:
        sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 104857601\r\n\r\n")
        assert received(sock, b"HTTP/1.1 413 ", within_s=8)


def test_the_worker_sees_its_own_address_as_host(client: httpx.Client) -> None:
    assert client.get("/facts").json()["headers"]["host"] == "127.0.0.1:28888"


def test_an_invocation_id_of_the_client_is_replaced(client: httpx.Client) -> None:
    seen = client.get("/facts", headers={"x-ms-invocation-id": "mine"}).json()
    assert (seen["headers"]["x-ms-invocation-id"], "mine") == (seen["invocation"], "mine")
    assert seen["invocation"] != "mine"


@pytest.mark.parametrize("name", ["connection", "keep-alive", "te", "proxy-authorization", "upgrade-insecure-requests"])
def test_hop_by_hop_headers_end_at_the_host(client: httpx.Client, name: str) -> None:
    assert name not in client.get("/facts", headers={name: "x"}).json()["headers"]


def test_the_context_names_the_function(client: httpx.Client) -> None:
    assert client.get("/facts").json()["function"] == "facts"


def test_an_encoded_slash_is_a_slash(client: httpx.Client) -> None:
    seen = client.get("/facts/azure%2Fgpt-4o").json()
    assert (seen["params"], seen["raw_path"]) == ({"rest": "azure/gpt-4o"}, "/facts/azure/gpt-4o")


def test_the_query_is_left_as_it_is(client: httpx.Client) -> None:
    assert client.get("/facts?a=%2F&b=1").json()["query"] == "a=%2F&b=1"


def test_custom_headers_of_host_json_are_added(client: httpx.Client) -> None:
    assert client.get("/facts").headers["x-frame-options"] == "DENY"


def test_a_custom_header_does_not_replace_the_function_s_own(client: httpx.Client) -> None:
    assert client.get("/headers").headers["x-frame-options"] == "SAMEORIGIN"


def test_hop_by_hop_headers_of_an_answer_are_dropped(client: httpx.Client) -> None:
    seen = client.get("/headers").headers
    assert [name for name in ("connection", "strict-transport-security", "keep-alive", "x-own") if name in seen] == [
        "x-own"
    ]


def test_trap_none_is_a_500(client: httpx.Client) -> None:
    answer = client.get("/none")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


def test_an_exception_is_a_500_that_tells_nothing(client: httpx.Client) -> None:
    answer = client.get("/raises")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"].startswith("text/plain")


def test_an_exception_is_printed_with_its_stack(client: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.get("/raises")
    assert "a secret of the app" in capfd.readouterr().err


def test_a_synchronous_function_runs_on_another_thread(client: httpx.Client) -> None:
    assert client.get("/sync").text != "asgi"


def test_trap_a_cancelled_error_that_escapes_hangs_the_client(client: httpx.Client) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.get("/cancelled", timeout=0.4)


def test_silence_before_the_answer_is_an_empty_504(impatient: httpx.Client) -> None:
    answer = impatient.get("/cancelled")
    assert (answer.status_code, answer.content) == (504, b"")


def test_a_handler_that_was_given_up_sees_its_client_gone(impatient: httpx.Client) -> None:
    disconnected.clear()
    assert impatient.get("/silent").status_code == 504
    assert disconnected.wait(2)


def test_silence_in_the_middle_cuts_the_connection(impatient: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        impatient.get("/stalls")


def test_a_stream_that_moves_is_not_cut(impatient: httpx.Client) -> None:
    assert impatient.get("/slow").text == "........"


def test_an_exception_in_the_middle_cuts_the_connection(client: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/breaks")


def test_the_first_chunk_arrives_before_the_second_is_made(client: httpx.Client) -> None:
    with client.stream("GET", "/stalls") as answer:
        assert next(answer.iter_raw()) == b"first"


def test_a_client_that_leaves_ends_the_generator(client: httpx.Client) -> None:
    closed.clear()
    with client.stream("GET", "/stalls") as answer:
        next(answer.iter_raw())
    assert closed.wait(2)


def test_a_handler_can_see_that_its_client_left(client: httpx.Client) -> None:
    disconnected.clear()
    with pytest.raises(httpx.ReadTimeout):
        client.get("/silent", timeout=0.2)
    assert disconnected.wait(2)


@pytest.mark.parametrize("path", ["/admin/anything", "/runtime/webhooks/x"])
def test_the_host_keeps_its_own_space(path: str) -> None:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="{*path}", methods=["GET"])
    async def zz(req: Request) -> Response:
        return Response(b"function")

    with serving(create_host(app, {}, host_json=ROOT_PREFIX)) as url:
        assert (httpx.get(url + path).status_code, httpx.get(url + "/administration").text) == (404, "function")


def test_its_status_can_be_asked(client: httpx.Client) -> None:
    assert client.get("/admin/host/status").json() == {"state": "Running"}


@contextmanager
def raw(client: httpx.Client) -> Iterator[socket.socket]:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=3) as sock:
        yield sock


def received(sock: socket.socket, words: bytes, within_s: float = 3) -> bool:
    """True when the server sends `words`; a silent server ends in a timeout."""
    sock.settimeout(within_s)
    seen = b""
    while words not in seen and (more := sock.recv(1000)):
        seen += more
    return words in seen
