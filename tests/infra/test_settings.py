"""What Bicep sets and what the code reads are the same; so are the names of tables, containers and parameters."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.infra import bicep
from shared import config
from tests.test_surface import documented, variables

ROOT = bicep.ROOT
MAIN = bicep.read(bicep.INFRA / "main.bicep")
APP = bicep.read(bicep.INFRA / "modules" / "app.bicep")
STORAGE = bicep.read(bicep.INFRA / "modules" / "storage.bicep")
PARAMETERS = json.loads((bicep.INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"]
AZD = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
PLATFORM = {
    "AzureWebJobsStorage__credential": "the host: signs in with an identity",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "the host",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "the host",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "the host",
}
"""Settings that are read by Azure Functions and not by us."""
NOT_ON_FLEX = {
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "WEBSITE_RUN_FROM_PACKAGE",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "ENABLE_ORYX_BUILD",
    "AzureWebJobsStorage",
}
"""Settings that Flex Consumption refuses, or that would bring back a key."""


def settings() -> dict[str, Any]:
    """The app settings, without those that an operator adds."""
    own, more = APP.resource("settings").body["properties"]["function"]["parameters"].values()
    assert more == "appSettings"
    found: dict[str, Any] = own
    return found


def read_by_code(name: str) -> bool:
    """Whether a module of shared/ or a trigger of handlers/ names the setting."""
    own = name.partition("__")[2]
    for path in (*(ROOT / "shared").rglob("*.py"), *(ROOT / "handlers").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if f'"{name}"' in text or f"%{name}%" in text or (own and f"__{own}" in text):
            return True
    return name.removeprefix("SPILLWAY_").lower() in settings_fields()


def settings_fields() -> set[str]:
    from dataclasses import fields

    from shared.settings import Settings

    return {one.name for one in fields(Settings)}


def constants(pattern: str) -> Iterator[str]:
    """Texts that shared/ gives a name at the top of a module and that fit `pattern`."""
    for path in (ROOT / "shared").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            value = node.value if isinstance(node, ast.Assign) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and re.fullmatch(pattern, value.value):
                yield value.value


@pytest.mark.parametrize("name", settings())
def test_a_setting_that_is_set_is_read(name: str) -> None:
    assert name in PLATFORM or read_by_code(name)


def test_what_is_the_platforms_is_set() -> None:
    assert set(PLATFORM) <= set(settings())
    assert not NOT_ON_FLEX & set(settings())


def test_a_setting_that_is_read_is_set_or_documented_as_one_that_may_be() -> None:
    assert {"SPILLWAY_CONFIG", "SPILLWAY_MASTER_KEY", "SPILLWAY_ID_SECRET"} <= set(settings())
    left = variables() - set(settings()) - {"AzureWebJobsStorage"}
    assert left <= documented("docs/configuration.md")
    assert "docs/configuration.md" in str(MAIN.parameters["appSettings"]["decorators"])


def test_a_schedule_that_a_timer_names_is_set() -> None:
    named = {
        one
        for path in (ROOT / "handlers").glob("*.py")
        for one in re.findall(r"%(\w+)%", path.read_text(encoding="utf-8"))
    }
    assert named <= set(settings())


def test_an_upload_of_200_mb_fits_its_form_and_the_platform() -> None:
    assert 200 * 1024 * 1024 < int(settings()["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"]) <= 210_000_000


def test_keys_come_from_the_vault() -> None:
    for name in ("SPILLWAY_MASTER_KEY", "SPILLWAY_ID_SECRET"):
        assert re.fullmatch(r"@Microsoft\.KeyVault\(SecretUri=\$\{\w+\}\)", settings()[name])


def test_the_tables_of_the_code_are_made() -> None:
    assert set(constants(r"spillway[a-z]+")) <= set(STORAGE.variables["tables"])


def test_the_containers_of_the_code_are_made() -> None:
    made = set(STORAGE.variables["containers"]) | {MAIN.variables["configContainer"]}
    assert set(constants(r"spillway-[a-z]+")) <= made
    assert {"packageContainer", "configContainer"} <= made


def test_every_parameter_of_the_file_exists_and_those_without_a_default_are_there() -> None:
    needed = {name for name, one in MAIN.parameters.items() if one["default"] is None}
    assert needed <= set(PARAMETERS) <= set(MAIN.parameters)


def test_the_keys_survive_another_deployment() -> None:
    secure = {name for name, one in MAIN.parameters.items() if {"type": "secure"} in one["decorators"]}
    vault = bicep.read(bicep.INFRA / "modules" / "vault.bicep")
    kept = {
        one.body["properties"]["value"]: one.body["name"] for one in vault.resources if one.kind.endswith("/secrets")
    }
    assert set(kept) == secure
    for name in secure:
        assert PARAMETERS[name]["value"] == f"$(secretOrRandomPassword ${{AZURE_KEY_VAULT_NAME}} {kept[name]})"
    assert "AZURE_KEY_VAULT_NAME" in MAIN.outputs


def test_python_is_the_one_that_the_runtime_is_pinned_for() -> None:
    runtime = APP.resource("app").body["properties"]["functionAppConfig"]["runtime"]
    assert runtime == {"name": "python", "version": "3.13"}


def test_azd_finds_the_app_and_the_hooks() -> None:
    [service] = AZD["services"]
    tags = APP.resource("app").body["tags"]["function"]["parameters"]["arg_2"]
    assert tags == {"'azd-service-name'": service}
    assert AZD["services"][service] == {"project": ".", "language": "python", "host": "function"}
    for hook in AZD["hooks"]["postprovision"].values():
        assert (ROOT / hook["run"]).is_file()
        assert hook["continueOnError"] is True
    assert "azd-env-name" in str(MAIN.variables["tags"])


def test_what_is_deployed_is_the_app_and_its_configuration() -> None:
    ignored = (ROOT / ".funcignore").read_text(encoding="utf-8").split()
    assert {"infra", "tests", "devtools", "azure.yaml", "local.settings.json"} <= set(ignored)
    assert not {"config.yaml", "host.json", "requirements.txt", "shared", "handlers"} & set(ignored)


def lambda_body(variable: str) -> dict[str, Any]:
    """What the inner lambda of a variable gives for a deployment."""
    found = MAIN.variables[variable]
    while set(found) != {"model_name", "litellm_params", "model_info"} and "model_name" not in found:
        found = found.get("function") or found.get("parameters") or found.get("detail") or found
        found = found.get("array_to_flattern") or found.get("arg_2") or found.get("expression") or found
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("variable", ["createdModels", "existingModels"])
def test_the_configuration_that_azd_makes_is_one_that_spillway_reads(variable: str, tmp_path: Path) -> None:
    """The hook writes it as JSON, which is YAML."""
    shape = lambda_body(variable)
    sample = {
        "model_name": "gpt-5-mini",
        "litellm_params": {
            "model": "azure/gpt-5-mini",
            "api_base": "https://oai-abc-swedencentral.openai.azure.com",
            "auth": shape["litellm_params"]["auth"],
        },
        "model_info": {"base_model": "azure/gpt-5-mini-2025-08-07"},
    }
    entry = {name: sample[name] for name in shape}
    assert {name: set(part) for name, part in shape.items() if name != "model_name"} == {
        name: set(part) for name, part in entry.items() if name != "model_name"
    }
    found = config.parse(json.dumps({"model_list": [entry]}), {"AZURE_CLIENT_ID": "an-id"})
    assert found.warnings == ()
    [one] = found.entries
    assert one.credentials.kind == "managed_identity"
    assert one.model.deployment == "gpt-5-mini"
