"""Reading function_app.py: what the worker accepts, what the host loads, what the command says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import azure.functions as func
import httpx
import pytest

from devtools.host import create_host
from devtools.host.cli import listing
from devtools.host.index import Index, IndexingError, index, load_app
from devtools.processes import free_port
from shared.hosting import Request, Response

ROOT = Path(__file__).parents[2]
HEADER = """
import azure.functions as func
from shared.hosting import Request, Response
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""
ONE_FUNCTION = (
    HEADER
    + """
@app.route(route="v1/models/{*id}", methods=["GET", "HEAD"])
async def models(req: Request) -> Response:
    return Response(req.headers["x-forwarded-for"])

@app.timer_trigger(schedule="0 0 0 * * *", arg_name="timer")
async def nightly(timer: func.TimerRequest) -> None:
    pass
"""
)
Handler = Callable[..., object]


async def answer(req: Request) -> Response:
    return Response(b"")


def indexed(
    handler: Handler = answer, name: str = "name", host_json: dict[str, object] | None = None, **route: object
) -> Index:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    app.function_name(name)(app.route(**route)(handler))  # type: ignore[arg-type]
    return index(app, host_json or {"extensions": {"http": {"routePrefix": ""}}})


def write(folder: Path, source: str, **files: str) -> Path:
    (folder / "function_app.py").write_text(textwrap.dedent(source))
    (folder / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}')
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_a_route_is_its_template() -> None:
    assert indexed(route="/v1/x/").functions["name"].template == "v1/x"


@pytest.mark.parametrize("route", [None, ""])
def test_without_a_route_the_function_s_name_is_the_route(route: str | None) -> None:
    assert indexed(route=route).functions["name"].template == "name"


def test_without_host_json_the_prefix_is_api() -> None:
    assert indexed(route="x", host_json={"version": "2.0"}).functions["name"].template == "api/x"


def test_a_reserved_route_is_dropped_with_its_reason() -> None:
    found = indexed(route="admin/x")
    assert found.functions == {}
    assert found.problems[0].startswith("The 'name' function is in error: the route 'admin/x' starts with a reserved")


def test_a_reserved_route_is_reserved_under_any_prefix() -> None:
    assert indexed(route="runtime", host_json={"extensions": {"http": {"routePrefix": "v1"}}}).functions == {}


def test_a_bad_name_is_dropped_with_its_reason() -> None:
    assert "not a valid function name" in indexed(name="9lives", route="x").problems[0]


def test_a_conflicting_route_is_dropped_and_the_first_stays() -> None:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for name in ("b", "a"):

        async def handler(req: Request) -> Response:
            return Response(b"")

        app.function_name(name)(app.route(route="x", methods=["GET"])(handler))
    found = index(app, {})
    assert (list(found.functions), len(found.problems)) == (["a"], 1)


def test_another_trigger_is_dropped_with_its_reason() -> None:
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="message", queue_name="q", connection="c")
    async def on_message(message: func.QueueMessage) -> None:
        pass

    assert "queueTrigger is not supported" in index(app, {}).problems[0]


async def _azure_request(req: func.HttpRequest) -> Response:
    return Response(b"")


async def _union(req: Request) -> Response | dict[str, str]:
    return Response(b"")


async def _returns_none(req: Request) -> None:
    return None


async def _other_name(request: Request) -> Response:
    return Response(b"")


async def _unbound(req: Request, more: str) -> Response:
    return Response(b"")


@pytest.mark.parametrize("handler", [_azure_request, _union, _returns_none, _other_name, _unbound])
def test_what_the_worker_refuses_stops_the_whole_app(handler: Handler) -> None:
    with pytest.raises(IndexingError, match="cannot load the name function"):
        indexed(handler, route="x")


def test_functions_are_listed_like_func_start(tmp_path: Path) -> None:
    text = listing(create_host(write(tmp_path, ONE_FUNCTION), {}), "http://localhost:7071")
    assert [line.strip() for line in text.splitlines() if line] == [
        "Functions:",
        "models: [GET,HEAD] http://localhost:7071/v1/models/{*id}",
        "nightly: timerTrigger",
    ]


def test_an_app_without_the_extension_s_app_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="0 top-level FunctionApp objects"):
        load_app(write(tmp_path, "x = 1"))


def test_two_apps_in_one_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="2 top-level FunctionApp objects"):
        load_app(write(tmp_path, HEADER + "other = func.FunctionApp()"))


def test_a_folder_without_an_app_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match=r"no function_app\.py"):
        load_app(tmp_path)


def test_the_app_s_folder_comes_last_on_the_path(tmp_path: Path) -> None:
    load_app(write(tmp_path, ONE_FUNCTION))
    assert sys.path.pop() == str(tmp_path)


@contextmanager
def command(app_dir: Path, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "devtools", "host", "--port", str(port), "--app-dir", str(app_dir)],
        cwd=ROOT, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_for_listing(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert any("timerTrigger" in line for line in process.stdout)


def test_the_command_replaces_what_a_client_says_of_its_address(tmp_path: Path) -> None:
    with command(write(tmp_path, ONE_FUNCTION)) as (process, url):
        wait_for_listing(process)
        assert httpx.get(f"{url}/v1/models", headers={"x-forwarded-for": "6.6.6.6"}).text == "127.0.0.1"


STREAMS = (
    HEADER
    + """
import asyncio
from starlette.responses import StreamingResponse

@app.route(route="stream", methods=["GET"])
async def stream(req: Request) -> StreamingResponse:
    async def body():
        while True:
            yield b"."
            await asyncio.sleep(0.05)
    return StreamingResponse(body())

@app.timer_trigger(schedule="0 0 0 * * *", arg_name="timer")
async def nightly(timer: func.TimerRequest) -> None:
    pass
"""
)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_with_code_0_within_2_s_although_a_stream_is_open(tmp_path: Path, signum: int) -> None:
    with command(write(tmp_path, STREAMS)) as (process, url):
        wait_for_listing(process)
        with httpx.stream("GET", f"{url}/stream") as answer:
            chunks = answer.iter_raw()  # kept: the connection closes with its iterator
            next(chunks)
            process.send_signal(signum)
            assert process.wait(2.5) == 0


def test_an_import_failure_is_one_line_after_its_stack(tmp_path: Path) -> None:
    with command(write(tmp_path, "import no_such_module")) as (process, _):
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors.splitlines()[-1] == (
        "function_app.py cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    )


def test_a_config_error_is_its_problems_and_no_stack(tmp_path: Path) -> None:
    source = "from shared.errors import ConfigError\nraise ConfigError(['model_list[0]: a', 'model_list[1]: b'])"
    with command(write(tmp_path, source)) as (process, _):
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors.splitlines()) == (
        1,
        ["The configuration cannot be used:", "  model_list[0]: a", "  model_list[1]: b"],
    )


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    write(tmp_path, ONE_FUNCTION)
    with command(tmp_path) as (process, url):
        wait_for_listing(process)
        port = url.rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-m", "devtools", "host", "--port", port, "--app-dir", str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
    assert second.returncode == 1
    assert second.stderr.startswith(f"Port {port} of 127.0.0.1 cannot be used")


SHOWS_SETTING = (
    HEADER
    + """
import os
print(f"setting={os.environ['SPILLWAY_TEST_SETTING']} timerTrigger", flush=True)

@app.route(route="x", methods=["GET"])
async def x(req: Request) -> Response:
    return Response(b"")
"""
)


@pytest.mark.parametrize(
    ("environ", "shown"), [({}, "file"), ({"SPILLWAY_TEST_SETTING": "environment"}, "environment")]
)
def test_local_settings_are_read_and_the_environment_wins(tmp_path: Path, environ: dict[str, str], shown: str) -> None:
    settings = json.dumps({"IsEncrypted": False, "Values": {"SPILLWAY_TEST_SETTING": "file"}})
    with command(write(tmp_path, SHOWS_SETTING, local__settings__json=settings), **environ) as (process, _):
        assert process.stdout is not None
        assert process.stdout.readline() == f"setting={shown} timerTrigger\n"


def test_asyncio_run_at_import_fails_as_it_does_in_the_worker(tmp_path: Path) -> None:
    source = "import asyncio\nfrom warnings import simplefilter\nsimplefilter('ignore')\nasyncio.run(asyncio.sleep(0))"
    with command(write(tmp_path, source)) as (process, _):
        _, errors = process.communicate(timeout=10)
    assert "cannot be called from a running event loop" in errors.splitlines()[-1]
