"""What timers cost that find nothing to do: requests counted before a storage account of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devtools.bench.growth.counting import counting
from devtools.storage import AZURITE, storage
from shared.gateway import Gateway
from shared.plan import read_plan

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: "https://r.openai.azure.com", api_key: k}
    model_info: {id: one, mode: batch}
"""
NOON = 1_782_907_200.0
"""A minute in which nothing hourly is due."""
_PORTS = re.compile(r"(BlobEndpoint|TableEndpoint)(=http://127\.0\.0\.1:)(\d+)")


async def test_an_idle_run_of_a_timer_asks_storage_three_times_at_most(tmp_path: Path) -> None:
    """But for the first of an instance, which looks at everything."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    with storage() as account:
        ports = {found[1]: int(found[3]) for found in _PORTS.finditer(account)}
        with counting(ports["TableEndpoint"]) as tables, counting(ports["BlobEndpoint"]) as blobs:
            doors = {"TableEndpoint": tables, "BlobEndpoint": blobs}
            seen = _PORTS.sub(lambda found: f"{found[1]}{found[2]}{doors[found[1]].port}", account)
            environ = {"SPILLWAY_CONFIG": str(tmp_path / "config.yaml"), "AzureWebJobsStorage": seen}
            now = NOON
            gateway = Gateway(read_plan({**environ, "SPILLWAY_MASTER_KEY": "sk"}), clock=lambda: now)
            costs: dict[str, list[int]] = {}
            timers = {"sweep": gateway.sweep, "batches": gateway.batches.run, "fine_tuning": gateway.tuning.run}
            for _ in range(5):
                for name, timer in timers.items():
                    before = tables.requests + blobs.requests
                    await timer()
                    costs.setdefault(name, []).append(tables.requests + blobs.requests - before)
                now += 60
            await gateway.close()
    assert costs == {"sweep": [5, 3, 3, 3, 3], "batches": [1] * 5, "fine_tuning": [1] * 5}
