"""One key's budget over several processes, with many calls at once. `devtools bench budgets` has it at large."""

from __future__ import annotations

import pytest

from devtools.bench.budgets import TOKENS, spent
from devtools.storage import AZURITE
from shared.config.pricing import PICO

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")


def test_several_processes_spend_a_budget_to_its_end_and_no_further() -> None:
    budget = 0.1
    seen = spent(3, 60, 150, budget, TOKENS + 10)
    assert seen.statuses.keys() == {200, 402}
    assert seen.committed <= round(budget * PICO)
    assert seen.settled == seen.billed
    assert seen.billed > 0.9 * budget * PICO
    assert (seen.held, seen.told) == (0, 0.0)
