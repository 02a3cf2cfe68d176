"""Which operation may be sent again after which phase of a failure: what it could cost decides."""

from __future__ import annotations

import pytest

from shared.errors import Replay
from shared.operations.table import OPERATIONS

TEXT = {
    "chat_completions",
    "completions",
    "embeddings",
    "responses_create",
    "responses_compact",
    "responses_input_tokens",
}
FREE = {"responses_retrieve", "responses_cancel", "responses_input_items"}
PROXIED = {one.name: one.proxied for one in OPERATIONS if one.proxied is not None}


def test_every_operation_may_be_sent_again_after_a_refusal_and_none_after_data() -> None:
    for proxied in PROXIED.values():
        assert Replay.FREELY in proxied.replay
        assert Replay.NEVER not in proxied.replay


@pytest.mark.parametrize("name", sorted(PROXIED))
def test_what_is_perhaps_done_is_sent_again_where_that_costs_little_or_nothing(name: str) -> None:
    replay = PROXIED[name].replay
    assert (Replay.BROKEN in replay) == (name in TEXT | FREE)
    assert (Replay.UNKNOWN in replay) == (name in FREE)
