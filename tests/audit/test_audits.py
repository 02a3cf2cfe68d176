"""The audits at a small scale: processes of their own, over sockets. `devtools bench audit` has them at large."""

from __future__ import annotations

import pytest

from devtools.audit import audits
from devtools.storage import AZURITE

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")


def test_every_billed_attempt_is_one_entry_of_the_same_cost() -> None:
    result = audits.everything(130)
    assert result.audit.wrong == []
    assert result.audit.lines > 110
    assert result.audit.exact > 80
    assert result.seen.left > 0
    assert result.audit.statuses["failed"] > 0


@pytest.mark.parametrize("mode", ["before_send", "before_reply"])
def test_killed_hosts_leave_no_attempt_that_is_lost_or_counted_twice(mode: str) -> None:
    result = audits.killed(120, mode, every_s=0.7)
    assert result.audit.wrong == []
    assert result.kills > 0
    assert result.audit.exact > 60


def test_calls_go_on_without_storage_and_the_books_agree_behind_it() -> None:
    result = audits.outage(100, away_s=2.0)
    assert result.audit.wrong == []
    assert result.seen.buffered
    assert result.audit.exact > 80
