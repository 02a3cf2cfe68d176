"""Checkov's word on infra/. `make infra-lint` installs it, apart from the rest because of its weight, and runs it."""

from __future__ import annotations

import re
import subprocess

import pytest

from devtools.infra import bicep

CHECKOV = bicep.ROOT / ".venv-checkov" / "bin" / "checkov"


def test_every_suppression_has_its_reason() -> None:
    for document in bicep.read_all().values():
        for skipped in re.findall(r"// checkov:skip=.*", document.text):
            assert re.fullmatch(r"// checkov:skip=CKV_AZURE_\d+:\w.{20,}", skipped)


@pytest.mark.timeout(600)
@pytest.mark.skipif(not CHECKOV.exists(), reason="Checkov is not installed: make infra-lint")
def test_checkov_finds_nothing() -> None:
    ran = subprocess.run(
        [str(CHECKOV), "--config-file", "infra/.checkov.yaml"],
        cwd=bicep.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout if ran.returncode else "") == (0, "")
    assert "Failed checks: 0" in ran.stdout
    assert "Parsing errors" not in ran.stdout
