"""The web extension by itself; tests/runtime has it under Azure's worker."""

from __future__ import annotations

from types import FunctionType, SimpleNamespace
from typing import Any

import httpx
import pytest
from azurefunctions.extensions import base

from shared import hosting
from shared.hosting import Request, Response, WebApp

WORKERS = [{}, {"http_coordinator": object()}, {"http_coordinator": SimpleNamespace(_context_references=None)}]


async def hello(request: Request) -> Response:
    return Response(f"{request.method} {request.url.path}")


def of_worker(names: dict[str, Any]) -> hosting.Handler:
    """`hello`, as it were a function of a worker's module with these names."""
    return FunctionType(hello.__code__, {"Response": Response, **names})


async def ask(app: WebApp, method: str = "GET", path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as client:
        return await client.request(method, path, headers={"x-ms-invocation-id": "i1"})


@pytest.mark.parametrize("names", WORKERS)
async def test_a_worker_without_a_map_of_invocations_is_served_as_well(names: dict[str, Any]) -> None:
    app = WebApp()
    app.route(of_worker(names))
    assert (await ask(app, "BREW", "/docs")).text == "BREW /docs"


async def test_an_invocation_that_was_answered_is_forgotten_and_no_other() -> None:
    references = {"i1": object(), "i2": object()}
    app = WebApp()
    app.route(of_worker({"http_coordinator": SimpleNamespace(_context_references=references)}))
    await ask(app)
    assert list(references) == ["i2"]


async def test_an_invocation_that_failed_is_forgotten_and_its_reason_not_told() -> None:
    references = {"i1": object()}

    async def fails(request: Request) -> Response:
        raise ValueError("a secret")

    app = WebApp()
    app.route(fails)
    app._waiting = references
    answer = await ask(app)
    assert (answer.status_code, answer.text, references) == (500, "Internal Server Error", {})


def test_path_parameters_replace_what_was_there() -> None:
    request = Request({"type": "http", "path_params": {"path": "x"}})
    hosting.RouteParameters().sync_route_params(request, {"id": "a/b"})
    assert request.path_params == {"id": "a/b"}


def test_the_worker_finds_the_app_and_the_server_in_one_module() -> None:
    assert base.ModuleTrackerMeta.get_module() == hosting.__name__  # type: ignore[no-untyped-call]
    assert base.RequestTrackerMeta.get_request_type() is Request  # type: ignore[no-untyped-call]
    assert base.ResponseTrackerMeta.check_type(Response)
