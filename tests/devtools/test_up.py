"""What `devtools up` decides, and that it ends everything that it starts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from devtools.processes import accepts, free_port
from devtools.storage import AZURITE, connection_string
from devtools.up import LOCAL_KEY, Ports, banner, first_model, make_plan, sample_config

ROOT = Path(__file__).parents[2]
PORTS = Ports(host=7071, simulator=9100, storage=10000)
needs_azurite = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")


def test_without_any_setting_the_simulator_and_azurite_are_used() -> None:
    plan = make_plan({}, PORTS)
    assert (plan.simulator, plan.storage) == (True, True)


def test_the_simulator_is_used_with_the_sample_config() -> None:
    assert make_plan({}, PORTS).env["SPILLWAY_CONFIG"] == str(ROOT / "config.yaml")


def test_the_simulator_is_used_with_a_fixed_key() -> None:
    assert make_plan({}, PORTS).env["SPILLWAY_MASTER_KEY"] == LOCAL_KEY


def test_the_host_stores_in_azurite() -> None:
    assert make_plan({}, PORTS).env["AzureWebJobsStorage"] == connection_string(10000)


@pytest.mark.parametrize("name", ["AZURE_API_BASE", "SPILLWAY_CONFIG"])
def test_a_real_azure_needs_no_simulator(name: str) -> None:
    assert not make_plan({name: "https://example.openai.azure.com"}, PORTS).simulator


def test_a_real_azure_gets_a_random_key() -> None:
    environ = {"AZURE_API_BASE": "https://example.openai.azure.com"}
    assert make_plan(environ, PORTS).key != make_plan(environ, PORTS).key


def test_a_given_key_is_kept() -> None:
    assert make_plan({"SPILLWAY_MASTER_KEY": "sk-mine"}, PORTS).env["SPILLWAY_MASTER_KEY"] == "sk-mine"


@pytest.mark.parametrize("name", ["AzureWebJobsStorage", "AzureWebJobsStorage__accountName"])
def test_an_own_storage_account_needs_no_azurite(name: str) -> None:
    plan = make_plan({name: "mine"}, PORTS)
    assert (plan.storage, plan.env[name]) == (False, "mine")


def test_managed_identity_is_off_with_the_simulator() -> None:
    assert "IDENTITY_ENDPOINT" not in make_plan({"IDENTITY_ENDPOINT": "http://127.0.0.1:1"}, PORTS).env


def test_another_simulator_port_is_written_into_a_copy_of_the_config(tmp_path: Path) -> None:
    copy = yaml.safe_load(sample_config(9999, tmp_path).read_text())
    bases = {entry["litellm_params"]["api_base"].split("/")[2] for entry in copy["model_list"]}
    assert bases == {"127.0.0.1:9999"}


def test_the_example_call_names_a_model_of_the_config() -> None:
    assert '"model": "gpt-4o"' in banner(make_plan({}, PORTS))


def test_the_example_call_for_a_bare_azure_has_a_placeholder() -> None:
    plan = make_plan({"AZURE_API_BASE": "https://example.openai.azure.com"}, PORTS)
    assert '"model": "azure/<your deployment>"' in banner(plan)


def test_a_wildcard_is_no_model_to_call(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("model_list: [{model_name: 'azure/*'}, {model_name: mine}]")
    assert first_model(str(config)) == "mine"


def test_a_broken_config_is_left_for_the_host_to_explain(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("model_list: [")
    assert first_model(str(config)) == "azure/<your deployment>"


@contextmanager
def up(*arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], Ports]]:
    ports = Ports(free_port(), free_port(), free_port(3))
    given = ["--port", str(ports.host), "--simulator-port", str(ports.simulator), "--storage-port", str(ports.storage)]
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-m", "devtools", "up", *given, *arguments],
        cwd=ROOT, env={**keep, **environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            yield process, ports
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    raise AssertionError(f"{words!r} was never printed:\n{seen}")


@needs_azurite
def test_one_interrupt_ends_everything_with_code_0() -> None:
    with up() as (process, ports):
        read_until(process, "Ctrl-C stops everything.")
        assert urllib.request.urlopen(f"http://127.0.0.1:{ports.host}/admin/host/status").status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(8) == 0
    assert [accepts(port) for port in (ports.host, ports.simulator, ports.storage)] == [False, False, False]


@needs_azurite
def test_a_host_that_cannot_start_takes_the_rest_down_and_is_named() -> None:
    with up(SPILLWAY_CONFIG="/nowhere/config.yaml") as (process, ports):
        output = read_until(process, "host ended with code 1")
        assert process.wait(8) == 1
    assert "/nowhere/config.yaml" in output
    assert not accepts(ports.storage)


def test_a_taken_port_that_was_asked_for_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = subprocess.run(
            [sys.executable, "-m", "devtools", "up", "--port", str(port)], cwd=ROOT, capture_output=True, text=True
        )
    assert f"Port {port} is taken." in found.stderr
