"""One key on several processes, over sockets: its budget, its limits, and how soon a block is known everywhere.

`devtools bench budgets` has the budget at large.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from devtools.audit.load import KEY
from devtools.audit.stage import Host, hosts
from devtools.bench.budgets import TOKENS, spent
from devtools.bench.processes import simulator
from devtools.storage import AZURITE, storage
from shared.config.pricing import PICO

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
BLOCKED_S = 5.0
CONFIG = """
model_list:
  - model_name: m
    litellm_params: {model: azure/gpt-4o, api_base: SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """Three processes over one storage account."""
    folder: Path = tmp_path_factory.mktemp("keys")
    with simulator() as sim, storage() as connection, hosts(3, CONFIG.replace("SIM", sim), folder, connection) as found:
        yield found


def manage(host: Host, path: str, **body: Any) -> Any:
    """What a key's route answers the master key."""
    found = httpx.post(host.url + path, json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=30)
    return found.raise_for_status().json()


def ask(host: Host, key: str) -> int:
    """The status of a call with this key."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}
    url = f"{host.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers={"authorization": f"Bearer {key}"}, timeout=30).status_code


def test_several_processes_spend_a_budget_to_its_end_and_no_further() -> None:
    budget = 0.1
    seen = spent(3, 60, 150, budget, TOKENS + 10)
    assert seen.statuses.keys() == {200, 402}
    assert seen.committed <= round(budget * PICO)
    assert seen.settled == seen.billed
    assert seen.billed > 0.9 * budget * PICO
    assert (seen.held, seen.told) == (0, 0.0)


def test_a_limit_of_requests_holds_over_all_processes(served: list[Host]) -> None:
    key = manage(served[0], "/key/generate", rpm_limit=12)["key"]
    with ThreadPoolExecutor(30) as pool:
        statuses = Counter(pool.map(lambda number: ask(served[number % 3], key), range(60)))
    assert statuses.keys() == {200, 429}
    assert statuses[200] <= 12


def test_a_blocked_key_stops_in_every_process_within_five_seconds(served: list[Host]) -> None:
    key = manage(served[0], "/key/generate")["key"]
    assert [ask(host, key) for host in served] == [200] * 3
    manage(served[0], "/key/block", key=key)
    blocked_at = time.monotonic()
    assert ask(served[0], key) == 403
    until = blocked_at + BLOCKED_S
    while time.monotonic() < until and any(ask(host, key) == 200 for host in served):
        time.sleep(0.1)
    assert [ask(host, key) for host in served] == [403] * 3
