"""Gateways with ever more deployments: of one model, or each of a model of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from devtools.bench.growth.calls import CHAT, MASTER, Asked, Stage
from devtools.bench.processes import gateway, upstream
from devtools.storage import storage


def entries(port: int, count: int, model: Callable[[int], str], start: int = 0) -> str:
    """A configuration with so many deployments, with limits that the load does not reach."""
    return "model_list:" + "".join(
        f"""
  - model_name: {model(number)}
    litellm_params:
      model: azure/bench-{number}
      api_base: http://127.0.0.1:{port}
      api_version: "2024-10-21"
      api_key: bench
      tpm: 500000000
      rpm: 5000000
    model_info: {{id: bench-{number}, base_model: azure/gpt-4o}}"""
        for number in range(start, start + count)
    )


@contextmanager
def in_one_group(counts: Sequence[int]) -> Iterator[list[Stage]]:
    """All of them serve one model."""
    with _stages(counts, lambda number: "bench", lambda count: lambda number: (CHAT, MASTER)) as stages:
        yield stages


@contextmanager
def in_groups_of_one(counts: Sequence[int]) -> Iterator[list[Stage]]:
    """Each serves a model of its own; each call is for the next."""

    def asked(count: int) -> Callable[[int], Asked]:
        bodies = [CHAT.replace(b'"bench"', b'"bench-%d"' % number) for number in range(count)]
        return lambda number: (bodies[number % count], MASTER)

    with _stages(counts, lambda number: f"bench-{number}", asked) as stages:
        yield stages


@contextmanager
def _stages(
    counts: Sequence[int], model: Callable[[int], str], asked: Callable[[int], Callable[[int], Asked]]
) -> Iterator[list[Stage]]:
    with ExitStack() as stack:
        port = stack.enter_context(upstream())
        stages = []
        for count in counts:
            account = stack.enter_context(storage())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url, pid = stack.enter_context(gateway(entries(port, count, model), folder, AzureWebJobsStorage=account))
            stages.append(Stage(f"{count:,}", url, pid, asked(count)))
        yield stages
