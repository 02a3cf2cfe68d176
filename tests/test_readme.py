"""What the README tells a newcomer to type works."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared import config
from shared.settings import Settings

if TYPE_CHECKING:
    from tests.conftest import Running

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
URL, KEY = "http://localhost:7071", "sk-spillway-local"


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def here(text: str, running: Running) -> str:
    """The text with the test's own URL and key."""
    assert URL in text
    assert KEY in text
    return text.replace(URL, running.url).replace(KEY, running.key)


def test_the_python_snippet_streams_an_answer(spillway: Callable[..., Running]) -> None:
    running = spillway()
    snippet = blocks("python")[0]
    ran = subprocess.run(
        [sys.executable, "-c", here(snippet, running)], capture_output=True, text=True, timeout=60, check=True
    )
    assert len(ran.stdout.split()) > 3
    assert running.sent()[0]["json"]["stream"] is True


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_answers(spillway: Callable[..., Running]) -> None:
    running = spillway()
    [line] = [block for block in blocks("sh") if block.startswith("curl")]
    ran = subprocess.run(
        [*shlex.split(here(line.replace("\\\n", " "), running)), "--silent"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert '"chat.completion"' in ran.stdout


def test_every_make_target_it_names_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)\b", "\n".join(blocks("sh"))))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"run", "test", "check"} <= named <= targets


def test_the_configuration_it_shows_loads_without_a_warning() -> None:
    [text] = blocks("yaml")
    found = config.parse(text, {"AZURE_WEST_KEY": "k"})
    assert [entry.order for entry in found.entries] == [1, 2]
    assert found.warnings == ()


def test_every_app_setting_has_its_row_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `SPILLWAY_(\w+)` \|.*\| `?([^`|]*)`? \|$", README, re.MULTILINE))
    assert rows["ID_SECRET"] == "the master key"
    for field in fields(Settings):
        if isinstance(field.default, str):
            continue
        default = str(field.default).lower() if isinstance(field.default, bool) else f"{field.default:g}"
        assert rows[field.name.upper()] == default


def test_the_files_it_links_to_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert all((ROOT / link).exists() for link in links)
