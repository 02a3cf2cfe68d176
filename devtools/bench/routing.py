"""Several instances that share three deployments of different sizes: what is served, refused, and by which of them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import aiohttp
import click
import orjson
import uvloop

from devtools.bench.processes import LOAD_CORE, gateway, pin, simulator
from devtools.simulator import ControlClient
from devtools.storage import storage

_HEADERS = {"authorization": "Bearer sk-bench"}
LATE_S_MAX = 1.0
WORDS_MAX = 3
SIZES = {"gpt-4o": 1, "gpt-4o-mini": 2, "gpt-4.1": 4}


@click.command()
@click.option("--instances", default=4, show_default=True, help="Host processes.")
@click.option("--seconds", default=60, show_default=True, help="Seconds of load.")
@click.option("--rpm", default=600, show_default=True, help="Requests a minute of the smallest deployment.")
@click.option("--percent", default=[90, 150], multiple=True, show_default=True, help="Load, of the summed limits.")
def main(instances: int, seconds: int, rpm: int, percent: tuple[int, ...]) -> None:
    """Load over several instances that share their deployments through one table."""
    limits = {name: size * rpm for name, size in SIZES.items()}
    for share in percent:
        with ExitStack() as stack:
            connection = stack.enter_context(storage())
            sim = stack.enter_context(simulator())
            control = stack.enter_context(ControlClient(sim))
            for name, limit in limits.items():
                control.deployment("east", name, rpm=limit, tpm=limit * 1000)
            urls = []
            for _ in range(instances):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                urls.append(
                    stack.enter_context(gateway(_config(sim, limits), folder, AzureWebJobsStorage=connection))[0]
                )
            pin(LOAD_CORE)
            calls_per_s = sum(limits.values()) / 60 * share / 100
            answers, words, late_s = uvloop.run(_load(urls, calls_per_s, seconds))
            sent = Counter((one["path"].split("/deployments/")[1].split("/")[0]) for one in control.requests())
            served = Counter(one["deployment"] for one in control.bill())
        _tell(share, seconds, limits, answers, served, sent)
        for said, count in words.most_common(WORDS_MAX):
            print(f"  {count} x {said}")
        if late_s > LATE_S_MAX:
            print(f"  the load came {late_s:.1f} s late: this machine is too busy for it, and no figure holds")


def _tell(
    share: int,
    seconds: int,
    limits: dict[str, int],
    answers: Counter[int],
    served: Counter[str],
    sent: Counter[str],
) -> None:
    allowed = sum(limits.values()) * seconds / 60
    total = sum(served.values())
    upstream = max(1, sum(sent.values()))
    print(f"{share} % of the limits for {seconds} s: answers {dict(answers)}")
    print(f"  served upstream {total} of {allowed:g} allowed ({100 * total / allowed:.1f} %)")
    refused = upstream - total
    print(f"  upstream calls that were refused: {refused} of {upstream} ({100 * refused / upstream:.2f} %)")
    for name, limit in limits.items():
        fair = 100 * limit / sum(limits.values())
        print(f"  {name:11} {100 * served[name] / max(1, total):5.1f} % of what was served; its share is {fair:.1f} %")


async def _load(urls: list[str], calls_per_s: float, seconds: int) -> tuple[Counter[int], Counter[str], float]:
    """The statuses of all answers, the words of those that were refused, and by how many seconds the last call was
    late."""
    answers, words = Counter[int](), Counter[str]()
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=_HEADERS) as session:

        async def call(url: str) -> None:
            async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                said = await answer.read()
                answers[answer.status] += 1
                if answer.status != HTTPStatus.OK:
                    words[orjson.loads(said)["error"]["message"]] += 1

        tasks = [asyncio.create_task(call(url)) for url in urls]  # every instance is awake and knows the others
        await asyncio.gather(*tasks)
        await asyncio.sleep(2.5)
        started = time.monotonic()
        number = 0
        while (at := number / calls_per_s) < seconds:
            await asyncio.sleep(max(0.0, started + at - time.monotonic()))
            tasks.append(asyncio.create_task(call(urls[number % len(urls)])))
            number += 1
        late_s = time.monotonic() - started - at
        await asyncio.gather(*tasks)
    return answers, words, late_s


def _config(sim: str, limits: dict[str, int]) -> str:
    entries = "".join(
        f"  - model_name: m\n    litellm_params: {{model: azure/{name}, api_base: {sim}/east, api_key: sim-key-east,"
        f" api_version: '2024-10-21', rpm: {limit}}}\n"
        for name, limit in limits.items()
    )
    return f"model_list:\n{entries}"
