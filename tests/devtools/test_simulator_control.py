from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from devtools import simulator
from devtools.simulator import ControlClient, create_app
from devtools.simulator.resources import SettingsError

HELLO = {"messages": [{"role": "user", "content": "hello"}], "model": "mine"}
V1 = "/mine/openai/v1/chat/completions"
MINE = {"keys": ["k"], "region": "France Central", "deployments": {"mine": {"model": "gpt-4.1", "tpm": 1000}}}


def test_a_resource_can_be_added_changed_and_removed(http: httpx.Client, sim: ControlClient) -> None:
    assert http.post(V1, json=HELLO, headers={"api-key": "k"}).status_code == 404
    sim.call("PUT", "/resources/mine", MINE)
    response = http.post(V1, json=HELLO, headers={"api-key": "k"})
    assert (response.json()["model"], response.headers["x-ms-region"]) == ("gpt-4.1-2025-04-14", "France Central")
    sim.call("PUT", "/resources/mine", {**MINE, "keys": ["new"]})
    assert http.post(V1, json=HELLO, headers={"api-key": "k"}).status_code == 401
    sim.call("DELETE", "/resources/mine")
    assert http.post(V1, json=HELLO, headers={"api-key": "new"}).status_code == 404


def test_a_deployment_can_be_added_changed_and_removed(http: httpx.Client, sim: ControlClient) -> None:
    path = "/resources/east/deployments/mine"
    v1 = V1.replace("mine", "east")
    sim.call("PUT", path, {"model": "gpt-4o", "version": "2024-11-20", "rpm": 6})
    assert http.post(v1, json=HELLO).json()["model"] == "gpt-4o-2024-11-20"
    assert http.post(v1, json=HELLO).status_code == 429
    sim.call("PATCH", path, {"rpm": None})
    assert http.post(v1, json=HELLO).status_code == 200
    assert sim.call("GET", "/resources")["east"]["deployments"]["mine"]["version"] == "2024-11-20"
    sim.call("DELETE", path)
    assert http.post(v1, json=HELLO).status_code == 404


def test_changing_one_resource_leaves_the_others(sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", tpm=5)
    resources = sim.call("GET", "/resources")
    assert resources["east"]["deployments"]["gpt-4o"]["tpm"] == 5
    assert resources["west"]["deployments"]["gpt-4o"]["tpm"] is None


def test_a_reset_restores_everything(http: httpx.Client, sim: ControlClient) -> None:
    sim.call("PUT", "/resources/mine", MINE)
    sim.deployment("east", "gpt-4o", rpm=6)
    sim.fault(status=500)
    sim.identity(role=None, lifetime_s=5)
    http.post("/east/openai/v1/chat/completions", json={**HELLO, "model": "gpt-4o-mini"})
    sim.reset()
    assert sorted(sim.call("GET", "/health")["resources"]) == ["east", "sweden", "west"]
    assert sim.call("GET", "/resources")["east"]["deployments"]["gpt-4o"]["rpm"] is None
    assert (sim.bill(), sim.requests(), sim.call("GET", "/faults")["count"]) == ([], [], 0)
    assert sim.call("GET", "/identity") == {
        "lifetime_s": 3600, "role": "Cognitive Services OpenAI Contributor", "roles": {}, "issued": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status"), [
    ("PUT", "/resources/mine", {"colour": "red"}, 400),
    ("PUT", "/resources/mine", {"deployments": {"d": {"model": "gpt-9"}}}, 400),
    ("PUT", "/resources/east/deployments/d", {"tpm": 5}, 400),
    ("PUT", "/resources/nowhere/deployments/d", {"model": "gpt-4o"}, 404),
    ("PATCH", "/resources/east/deployments/nothing", {"tpm": 5}, 404),
    ("PATCH", "/resources/east/deployments/gpt-4o", {"speed": 5}, 400),
    ("PATCH", "/resources/east/deployments/gpt-4o", {"content_filter": "off"}, 400),
    ("PATCH", "/resources/east/deployments/gpt-4o", {"ratelimit_headers": "loud"}, 400),
    ("DELETE", "/resources/nowhere", None, 404),
    ("PUT", "/identity", {"colour": "red"}, 400),
    ("POST", "/advance", {"seconds": -1}, 400),
    ("GET", "/nothing", None, 404),
])  # fmt: skip
def test_a_wrong_control_call_is_refused(
    sim: ControlClient, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=str(status)):
        sim.call(method, path, body)


def test_a_control_body_must_be_a_json_object(url: str, http: httpx.Client) -> None:
    assert http.post("/_sim/faults", content=b"[1]").status_code == 400
    assert http.post("/_sim/faults", content=b"{").status_code == 400


def test_every_resource_has_the_deployments_of_the_documentation(sim: ControlClient) -> None:
    for name, resource in sim.call("GET", "/resources").items():
        assert resource["keys"] == [f"sim-key-{name}"]
        assert set(resource["deployments"]) >= {
            "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "o3-mini", "o4-mini", "o1", "my-o3-deployment",
            "demo1-gpt4o", "chatgpt-v-2", "chatgpt-functioncalling", "azure-openai-4o-audio",
            "text-embedding-3-small", "gpt-4o-ptu",
        }  # fmt: skip


def test_settings_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(orjson.dumps({"resources": {"mine": MINE}}))
    world = create_app(file).world
    assert list(world.resources) == ["mine"]
    assert world.resources["mine"].deployments["mine"].tpm == 1000


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="colour"):
        create_app({"colour": "red"})


def test_run_says_where_it_listens_serves_and_breaks_connections() -> None:
    command = "from devtools.simulator import run; run(port=0)"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found is not None
            with ControlClient(found[0]) as sim:
                assert sim.call("GET", "/health")["ok"] is True
                for fault, error in (
                    ({"reset": True}, httpx.ReadError),
                    ({"cut_after_bytes": 9}, httpx.RemoteProtocolError),
                ):
                    sim.fault(**fault)
                    with pytest.raises(error):
                        httpx.get(found[0] + "/east/openai/v1/models", headers={"api-key": "sim-key-east"})
        finally:
            process.terminate()
    assert line.startswith("Azure OpenAI simulator on ")


def test_the_simulators_public_names() -> None:
    assert set(simulator.__all__) == {"ControlClient", "Simulator", "create_app", "run"}
