"""Clients of the openai package for the contract tests of every family of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import openai
import pytest
from openai import AzureOpenAI, OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running

Client = Callable[["Running"], OpenAI]


@pytest.fixture(params=["openai", "azure"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """`client(run)` is an OpenAI, then an AzureOpenAI client of it. Neither retries nor loads certificates."""
    with ExitStack() as stack:

        def make(run: Running) -> OpenAI:
            http = openai.DefaultHttpxClient(verify=False)
            if request.param == "openai":
                made = OpenAI(api_key=run.key, max_retries=0, base_url=f"{run.url}/v1", http_client=http)
            else:
                made = AzureOpenAI(
                    api_key=run.key, max_retries=0, azure_endpoint=run.url, api_version="2024-10-21", http_client=http
                )
            return stack.enter_context(made)

        yield make
