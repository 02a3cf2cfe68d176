"""What a cold start imports, and what is loaded beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared import warmup
from shared.plan import Plan, read_plan

ROOT = Path(__file__).resolve().parents[1]
KEY = {"AZURE_API_BASE": "https://r.openai.azure.com", "AZURE_API_KEY": "k", "SPILLWAY_MASTER_KEY": "sk-x"}
ENTRA = {"AZURE_API_BASE": "https://r.openai.azure.com", "SPILLWAY_MASTER_KEY": "sk-x"}
CONNECTION = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
IDENTITY = {"AzureWebJobsStorage__accountName": "account"}
NOT_AT_THE_START = (
    "aiohttp",
    "azure.core",
    "azure.data.tables",
    "azure.identity",
    "azure.storage.blob",
    "cryptography",
    "httpx",
    "msal",
    "requests",
)
NEVER = ("fastapi", "litellm", "openai", "prometheus_client", "opentelemetry")
"""Neither at the start nor for a first call: there is no such dependency, or only a call of its own needs it."""


def imported_by(code: str, environ: Mapping[str, str]) -> set[str]:
    """The modules that a fresh process has loaded after `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=dict(environ), check=True, stdout=subprocess.PIPE, text=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def plan(*environs: Mapping[str, str]) -> Plan:
    return read_plan({name: value for environ in environs for name, value in environ.items()})


@pytest.fixture(scope="module")
def at_the_start() -> set[str]:
    """What importing the app loads, without what is loaded beside it."""
    return imported_by(
        "from shared import warmup\nwarmup.start = lambda plan: None\nimport function_app", {**ENTRA, **IDENTITY}
    )


@pytest.mark.parametrize("module", NOT_AT_THE_START)
def test_importing_the_app_does_not_load(at_the_start: set[str], module: str) -> None:
    assert module not in at_the_start


def test_what_is_loaded_beside_is_what_was_left_out() -> None:
    loaded = imported_by("import function_app\nfunction_app.loading.join()", {**ENTRA, **IDENTITY})
    assert set(NOT_AT_THE_START) <= loaded
    assert not set(NEVER) & loaded


def test_an_app_with_keys_and_no_storage_loads_sockets_alone() -> None:
    assert warmup.libraries(plan(KEY)) == warmup.SOCKETS


def test_an_app_with_a_connection_string_loads_storage_but_no_sign_in() -> None:
    assert warmup.libraries(plan(KEY, CONNECTION)) == (*warmup.SOCKETS, *warmup.STORAGE)


@pytest.mark.parametrize("environs", [(ENTRA,), (KEY, IDENTITY)])
def test_whatever_signs_in_loads_azure_identity(environs: tuple[Mapping[str, str], ...]) -> None:
    assert warmup.libraries(plan(*environs))[-1] == "azure.identity.aio"


def test_a_library_that_cannot_be_loaded_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "SOCKETS", ("no.such.module", "colorsys"))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    warmup.start(plan(KEY)).join()
    assert "colorsys" in sys.modules


def test_what_stays_for_good_is_taken_out_of_the_collectors_sight() -> None:
    code = """
import gc, time
from shared import warmup
warmup.FREEZE_AFTER_S = (0.0, 0.05)
import function_app
function_app.loading.join()
until = time.monotonic() + 20
while gc.get_freeze_count() < 50_000 and time.monotonic() < until:
    time.sleep(0.01)
frozen = gc.get_freeze_count()
assert frozen >= 50_000, frozen
more = [[] for _ in range(1000)]
while gc.get_freeze_count() <= frozen and time.monotonic() < until:
    time.sleep(0.01)
assert gc.get_freeze_count() > frozen
"""
    assert "function_app" in imported_by(code, {**KEY, **CONNECTION})
