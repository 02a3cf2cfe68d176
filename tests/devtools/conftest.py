"""The simulator on sockets, and the clients that speak to it; each test finds it as at its start."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.serving import serving
from devtools.simulator import ControlClient, Simulator, create_app
from tests.devtools.batch_requests import Batches


@pytest.fixture(scope="module")
def app() -> Simulator:
    """The simulator itself, for what no route tells."""
    return create_app()


@pytest.fixture(scope="module")
def url(app: Simulator) -> Iterator[str]:
    with serving(app) as base:
        yield base


@pytest.fixture(scope="module")
def control(url: str) -> Iterator[ControlClient]:
    with ControlClient(url) as client:
        yield client


@pytest.fixture
def sim(control: ControlClient) -> ControlClient:
    control.reset()
    return control


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"api-key": "sim-key-east"}, timeout=10) as client:
        yield client


@pytest.fixture
def http(client: httpx.Client, sim: ControlClient) -> httpx.Client:
    return client


@pytest.fixture(scope="module")
def azure(url: str) -> Iterator[AzureOpenAI]:
    with AzureOpenAI(
        azure_endpoint=url + "/east", api_key="sim-key-east", api_version="2025-04-01-preview", max_retries=0
    ) as client:
        yield client


@pytest.fixture(scope="module")
def v1(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url + "/east/openai/v1/", api_key="sim-key-east", max_retries=0) as client:
        yield client


@pytest.fixture
def batches(http: httpx.Client, sim: ControlClient) -> Batches:
    return Batches(http, sim)
