"""The traps of the platform, each shown with azure-functions-runtime, which is what Azure runs for Python 3.13.

When one of these fails, Microsoft has changed something that Spillway is built around: read DESIGN before mending it.
"""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from devtools.host.worker import Worker, WorkerError, runtime_worker

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="azure-functions-runtime, the worker of Azure's Python 3.13, needs 3.13"
)

HEADER = f"""
import asyncio
import sys
import azure.functions as func
from starlette.responses import StreamingResponse
sys.path.insert(0, {str(ROOT)!r})
from shared.hosting import Request, Response

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""
UNTAMED = """
seen = []

@app.route(route="none", methods=["GET"])
async def none(req: Request) -> Response:
    return None

@app.route(route="raises", methods=["GET"])
async def raises(req: Request) -> Response:
    raise RuntimeError("a secret of the app")

@app.route(route="dict", methods=["GET"])
async def no_response(req: Request):
    return {}

@app.route(route="any")
async def any_method(req: Request) -> Response:
    return Response(headers={"x-method": req.method})

@app.route(route="kept", methods=["GET"])
async def kept(req: Request) -> Response:
    from azure_functions_runtime.http_v2 import http_coordinator
    return Response(str(len(http_coordinator._context_references)))

@app.route(route="cancelled", methods=["GET"])
async def cancelled(req: Request) -> Response:
    raise asyncio.CancelledError

@app.route(route="seen", methods=["GET"])
async def seen_so_far(req: Request) -> Response:
    return Response(",".join(seen))

@app.route(route="stream", methods=["GET"])
async def stream(req: Request) -> Response:
    async def body():
        try:
            yield b"first"
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
    return StreamingResponse(body())

@app.route(route="ordered/literal", methods=["GET"])
async def ordered_z(req: Request) -> Response:
    return Response("literal")

@app.route(route="ordered/{*rest}", methods=["GET"])
async def ordered_a(req: Request) -> Response:
    return Response("catch-all:" + (req.path_params.get("rest") or ""))

@app.route(route="loop", methods=["GET"])
async def loop(req: Request) -> Response:
    return Response(type(asyncio.get_running_loop()).__module__)

@app.route(route="shadowed", methods=["GET"])
async def shadowed(req: Request) -> Response:
    import iniconfig
    return Response(str(getattr(iniconfig, "OWNER", "somebody else")))

@app.route(route="last", methods=["GET"])
async def last_path(req: Request) -> Response:
    return Response(sys.path[-1])

@app.route(route="echo", methods=["POST"])
async def echo(req: Request) -> Response:
    return Response(await req.body())

@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
async def tick(timer: func.TimerRequest) -> None:
    seen.append("tick")

@app.route(route="{*path}", methods=["GET", "POST"])
async def zz(req: Request) -> Response:
    return Response("function:" + req.url.path, 404)
"""


def write(folder: Path, source: str) -> Path:
    (folder / "function_app.py").write_text(HEADER + textwrap.dedent(source))
    (folder / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}')
    return folder


@pytest.fixture(scope="module")
def app_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untamed")
    (folder / "iniconfig.py").write_text("OWNER = 'the app'")
    return write(folder, UNTAMED)


@pytest.fixture(scope="module")
def worker(app_dir: Path) -> Iterator[Worker]:
    """An app that does nothing about the traps, behind a host that gives up after a second, not after 230."""
    with runtime_worker(app_dir, idle_timeout_s=1.0) as running:
        yield running


def states(worker: Worker, function: str) -> set[str]:
    return {one["state"] for one in worker.invocations() if one["function"] == function}


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect", "/docs2"])
def test_no_path_is_answered_by_the_worker_s_server_itself(worker: Worker, path: str) -> None:
    assert httpx.get(worker.url + path).text == f"function:{path}"


@pytest.mark.parametrize("method", ["PROPFIND", "HEAD", "TRACE"])
def test_any_method_reaches_its_function(worker: Worker, method: str) -> None:
    assert httpx.request(method, f"{worker.url}/any").headers["x-method"] == method


def test_what_is_no_response_is_a_500(worker: Worker) -> None:
    assert httpx.get(f"{worker.url}/dict").status_code == 500


def test_the_worker_keeps_nothing_of_invocations_that_ended(worker: Worker) -> None:
    for path in ("seen", "raises", "none", "dict", "echo"):
        for _ in range(20):
            httpx.request("POST" if path == "echo" else "GET", f"{worker.url}/{path}")
    assert int(httpx.get(f"{worker.url}/kept").text) <= 1 + len(open_for_ever(worker))


def open_for_ever(worker: Worker) -> list[dict[str, object]]:
    """The invocations that hang, as those whose CancelledError escaped do."""
    return [one for one in worker.invocations() if one["state"] == "running"]


def test_trap_a_cancelled_error_that_escapes_hangs_client_and_invocation(worker: Worker) -> None:
    assert httpx.get(f"{worker.url}/cancelled", timeout=5).status_code == 504
    assert states(worker, "cancelled") == {"running"}


def test_trap_none_is_a_500(worker: Worker) -> None:
    assert httpx.get(f"{worker.url}/none").status_code == 500


def test_an_exception_is_a_plain_500_and_a_failed_invocation(worker: Worker) -> None:
    answer = httpx.get(f"{worker.url}/raises")
    assert (answer.status_code, answer.text, states(worker, "raises")) == (500, "Internal Server Error", {"failed"})


def test_trap_the_order_is_that_of_function_names(worker: Worker) -> None:
    assert httpx.get(f"{worker.url}/ordered/literal").text == "catch-all:literal"


def test_trap_a_catch_all_takes_the_empty_rest(worker: Worker) -> None:
    assert httpx.get(f"{worker.url}/ordered").text == "catch-all:"


def test_an_encoded_slash_arrives_as_a_slash(worker: Worker) -> None:
    assert httpx.get(f"{worker.url}/ordered/a%2Fb").text == "catch-all:a/b"


def test_the_root_comes_to_the_catch_all(worker: Worker) -> None:
    assert httpx.get(worker.url).text == "function:/"


def test_trap_the_app_s_folder_is_last_on_the_path(worker: Worker, app_dir: Path) -> None:
    assert httpx.get(f"{worker.url}/last").text == str(app_dir)


def test_trap_an_installed_package_wins_over_the_app_s_own_of_that_name(worker: Worker) -> None:
    assert httpx.get(f"{worker.url}/shadowed").text == "somebody else"


def test_the_loop_is_uvloop(worker: Worker) -> None:
    assert httpx.get(f"{worker.url}/loop").text == "uvloop"


def test_a_chunk_arrives_before_the_next_one_is_made(worker: Worker) -> None:
    with httpx.stream("GET", f"{worker.url}/stream") as answer:
        assert next(answer.iter_raw()) == b"first"


def test_a_client_that_leaves_cancels_the_generator(worker: Worker) -> None:
    with httpx.stream("GET", f"{worker.url}/stream") as answer:
        next(answer.iter_raw())
    deadline = time.monotonic() + 3
    while "cancelled" not in (seen := httpx.get(f"{worker.url}/seen").text) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "cancelled" in seen


def test_silence_in_the_middle_cuts_the_connection(worker: Worker) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{worker.url}/stream")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_whole(worker: Worker, chunked: bool) -> None:
    parts = [bytes([n]) * 70_000 for n in range(8)]
    body = b"".join(parts)
    answer = httpx.post(f"{worker.url}/echo", content=iter(parts) if chunked else body)
    assert answer.content == body


def test_a_timer_runs(worker: Worker) -> None:
    httpx.post(f"{worker.url}/admin/functions/tick", json={})
    assert "tick" in httpx.get(f"{worker.url}/seen").text


def test_no_match_is_an_empty_404(worker: Worker) -> None:
    answer = httpx.put(f"{worker.url}/echo")
    assert (answer.status_code, answer.content) == (404, b"")


UNION = """
@app.route(route="x", methods=["GET"])
async def x(req: Request) -> Response | StreamingResponse:
    return Response(b"")
"""
AZURE_REQUEST = """
@app.route(route="x", methods=["GET"])
async def x(req: func.HttpRequest) -> Response:
    return Response(b"")
"""
ASYNCIO_RUN = "asyncio.run(asyncio.sleep(0))"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (UNION, "annotation"),
        (AZURE_REQUEST, "annotation"),
        (ASYNCIO_RUN, "running event loop"),
        ("import nope", "nope"),
    ],
)
def test_trap_one_bad_function_stops_the_whole_app(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(WorkerError, match=reason), runtime_worker(write(tmp_path, source)):
        pass
