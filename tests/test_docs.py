"""The pages that people read: links lead somewhere, commands exist, snippets parse, configurations load."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from devtools.__main__ import main as devtools
from devtools.docs.__main__ import PAGES as GENERATED
from devtools.infra import bicep
from shared import config

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_NOT_COMMANDS = {"sure"}
"""Words that follow `make` in prose."""


@pytest.fixture(params=PAGES, ids=IDS)
def page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks in one of the languages."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
    return [body for language, body in fences if language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link or link.startswith("mailto:"):
            assert link.startswith("https://"), link
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_of_docs_is_found_from_another() -> None:
    linked = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([\w./-]+\.md)", prose(page))
        if (page.parent / link).resolve() != page
    }
    assert set((ROOT / "docs").glob("*.md")) <= linked


def test_the_make_targets_exist(page: Path) -> None:
    shown = "\n".join(blocks(page, "sh"))
    named = set(re.findall(r"^\s*(?:\w+=\S+ )*make ([a-z][a-z-]*)", shown, re.MULTILINE))
    named |= set(re.findall(r"`make ([a-z][a-z-]*)", prose(page).replace("\n", " ")))
    assert named - _NOT_COMMANDS <= TARGETS


def test_the_commands_of_devtools_exist(page: Path) -> None:
    for command in re.findall(r"-m devtools ([a-z]+)", text_of(page)):
        assert devtools.get_command(devtools.make_context("devtools", ["--help"], resilient_parsing=True), command), (
            command
        )
    for module in re.findall(r"-m devtools\.([a-z_]+)", text_of(page)):
        assert (ROOT / "devtools" / module).exists() or (ROOT / "devtools" / f"{module}.py").exists()


def test_the_files_that_are_named_exist(page: Path) -> None:
    """A path in code type that begins with one of our folders."""
    ours = r"`((?:shared|handlers|devtools|tests|infra|docs|\.github)/[\w./-]*\w[/]?)`"
    for path in re.findall(ours, prose(page)):
        assert (ROOT / path).exists(), path


def test_the_settings_that_are_named_exist(page: Path) -> None:
    known = text_of(ROOT / "docs" / "configuration.md") + "".join(
        path.read_text(encoding="utf-8") for path in (*bicep.INFRA.rglob("*.sh"), bicep.INFRA / "main.bicep")
    )
    own = {"SPILLWAY_KEY"}  # of whoever reads the page
    assert [
        name for name in re.findall(r"\bSPILLWAY_[A-Z_]+", text_of(page)) if name not in known and name not in own
    ] == []


def test_python_parses(page: Path) -> None:
    for snippet in blocks(page, "python"):
        assert ast.parse(snippet).body


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_javascript_parses(page: Path, tmp_path: Path) -> None:
    for number, snippet in enumerate(blocks(page, "js", "javascript")):
        file = tmp_path / f"{number}.mjs"
        file.write_text(snippet, encoding="utf-8")
        checked = subprocess.run(
            ["node", "--check", str(file)], capture_output=True, text=True, check=False, timeout=60
        )
        assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_shell_parses(page: Path) -> None:
    for snippet in blocks(page, "sh", "bash"):
        checked = subprocess.run(["bash", "-n"], input=snippet, capture_output=True, text=True, check=False, timeout=60)
        assert checked.returncode == 0, checked.stderr


def test_json_parses(page: Path) -> None:
    for snippet in blocks(page, "json"):
        assert json.loads(snippet)


def test_configurations_load_without_a_warning(page: Path) -> None:
    for snippet in blocks(page, "yaml"):
        found = yaml.safe_load(snippet)
        assert isinstance(found, dict)
        if "model_list" in found:
            environ = dict.fromkeys(re.findall(r"os\.environ/(\w+)", snippet), "a-value")
            assert config.parse(snippet, environ).warnings == ()


def parameters_of(snippet: str) -> dict[str, Any]:
    found = json.loads(snippet)
    assert isinstance(found, dict)
    return found


def test_what_deploy_says_of_parameters_is_what_bicep_has() -> None:
    page = ROOT / "docs" / "deploy.md"
    main = bicep.read(bicep.INFRA / "main.bicep")
    rows = set(re.findall(r"^\| `(\w+)` \| (?:.+) \| .+ \|$", text_of(page), re.MULTILINE))
    asked = {"environmentName", "location", "masterKey", "idSecret"}  # azd knows them, or makes them
    assert rows | asked == set(main.parameters)
    for snippet in blocks(page, "json"):
        for name, one in parameters_of(snippet).items():
            assert set(one) == {"value"}
            assert name in rows
    for name, default in re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", text_of(page), re.MULTILINE):
        written = main.parameters[name]["default"]
        shown = str(written).lower() if isinstance(written, bool) else str(written)
        assert shown == default or default.startswith("rg-")


def test_the_accounts_that_deploy_shows_have_the_shape_that_bicep_asks_for() -> None:
    types = {name: set(one["value"]) for name, one in bicep.read(bicep.INFRA / "main.bicep").tree["types"].items()}
    shown = [parameters_of(snippet) for snippet in blocks(ROOT / "docs" / "deploy.md", "json")]
    shown.append(json.loads((bicep.INFRA / "main.parameters.json").read_text(encoding="utf-8"))["parameters"])
    accounts = [one for each in shown for one in each.get("openAiAccounts", {"value": []})["value"]]
    assert accounts
    for account in accounts:
        assert {"location", "deployments"} <= set(account) <= types["openAiAccount"]
        for deployment in account["deployments"]:
            assert {"name", "model", "capacity"} <= set(deployment) <= types["modelDeployment"]
    for account in [one for each in shown for one in each.get("existingOpenAiAccounts", {"value": []})["value"]]:
        assert set(account) == types["existingOpenAiAccount"]
        assert len(account["id"].split("/")) == 9


def test_what_security_says_of_roles_is_what_bicep_gives() -> None:
    text = text_of(ROOT / "docs" / "security.md")
    for document in bicep.read_all().values():
        for name, value in document.variables.items():
            if re.fullmatch(r"[0-9a-f-]{36}", str(value)) and name != "storageBlobDataContributor":
                words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).replace("Open Ai", "OpenAI")
                assert words.removeprefix("cognitive Services ").lower() in text.lower()


def test_the_pictures_are_drawings_that_can_be_read() -> None:
    for picture in (ROOT / "docs").glob("*.svg"):
        tree = ElementTree.parse(picture).getroot()  # noqa: S314 - our own file
        assert tree.tag.endswith("svg")
        assert any(one.tag.endswith("title") for one in tree)
        assert picture.name in "".join(text_of(page) for page in PAGES)


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_a_workflow_runs_what_there_is(path: Path) -> None:
    workflow = yaml.safe_load(text_of(path))
    assert workflow["permissions"]["contents"] == "read"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert set(re.findall(r"^make ([a-z-]+)", step.get("run", ""), re.MULTILINE)) <= TARGETS
            assert re.fullmatch(r"[\w./-]+@v\d+", step.get("uses", "a@v1"))


def test_deploying_from_github_stores_no_secret() -> None:
    text = text_of(ROOT / ".github" / "workflows" / "deploy.yml")
    assert "secrets." not in text
    assert yaml.safe_load(text)["permissions"]["id-token"] == "write"
    variables = set(re.findall(r"vars\.(\w+)", text))
    assert set(yaml.safe_load(text_of(ROOT / "azure.yaml"))["pipeline"]["variables"]) <= variables


def test_the_hooks_before_a_commit_are_what_check_runs() -> None:
    [repository] = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))["repos"]
    check = re.search(r"^check:.*?\n((?:\t.*\n)+)", text_of(ROOT / "Makefile"), re.MULTILINE)
    assert check is not None
    for hook in repository["hooks"]:
        command = hook["entry"].split(" --force-exclude")[0].split("/")[-1].removeprefix("python ")
        assert command.split(" ")[-1].removeprefix("-m ") in check[1]


def test_the_devcontainer_sets_everything_up() -> None:
    found = json.loads(text_of(ROOT / ".devcontainer" / "devcontainer.json"))
    assert found["postCreateCommand"].removeprefix("make ") in TARGETS
    features = " ".join(found["features"])
    for tool in ("node", "azd", "azure-cli", "azure-functions-core-tools"):
        assert tool in features


def test_a_generated_page_says_that_it_is() -> None:
    for page in GENERATED:
        assert "<!-- Generated by `make docs`" in text_of(ROOT / page)
