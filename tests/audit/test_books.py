"""How an audit compares: what must not be is found, and what cannot agree exactly is told."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.audit.books import compared, cost_of
from shared.spend.entry import Entry
from shared.spend.totals import Sums

CALL = "call_20260701_000000000001_1"
LINE: dict[str, Any] = {
    "client_request_id": CALL + ".1", "model": "gpt-4o", "status": 200, "stream": False, "finished": True,
    "prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 3, "input_audio_tokens": 0, "input_image_tokens": 0,
    "output_audio_tokens": 0, "output_image_tokens": 0, "seconds": 0.0, "characters": 0, "images": 0,
}  # fmt: skip
COST = 6 * 2_500_000 + 4 * 1_250_000 + 3 * 10_000_000


def entry(**values: Any) -> Entry:
    usual = {"status": "settled", "cost": COST, "usage": {"prompt": 10, "completion": 3, "cached": 4}}
    return Entry(CALL + ".1", "chat_completions", "k", "m", 0.0, **{**usual, **values})


def test_books_that_agree_agree() -> None:
    audit = compared([LINE], [entry()])
    assert (audit.wrong, audit.exact, audit.exact_cost) == ([], 1, COST)


@pytest.mark.parametrize(
    ("bill", "entries", "says"),
    [
        ([LINE], [], "not entered"),
        ([LINE], [entry(), entry()], "more than once"),
        ([LINE, LINE], [entry()], "sent more than once"),
        ([LINE], [entry(status="failed", cost=0)], "and failed"),
        ([LINE], [entry(status="open")], "still open"),
        ([LINE], [entry(cost=COST + 1)], "the bill"),
        ([LINE], [entry(usage={"prompt": 11, "completion": 3})], "the bill"),
        ([], [entry()], "not billed"),
    ],
)
def test_what_must_not_be_is_found(bill: list[dict[str, Any]], entries: list[Entry], says: str) -> None:
    assert says in " ".join(compared(bill, entries).wrong)


def test_an_estimate_is_told_beside_its_line() -> None:
    audit = compared([LINE], [entry(cost=5, usage={"prompt": 1, "completion": 1, "source": "estimated"})])
    assert (audit.wrong, audit.estimated, audit.estimated_cost, audit.estimated_billed) == ([], 1, 5, COST)


@pytest.mark.parametrize("bill", [[LINE], []])
def test_what_is_unknown_may_be_billed_or_not(bill: list[dict[str, Any]]) -> None:
    audit = compared(bill, [entry(status="unknown")])
    assert (audit.wrong, audit.statuses["unknown"], audit.unknown_billed) == ([], 1, len(bill))


def test_a_call_that_nobody_had_an_answer_of_may_be_lost_where_that_is_said() -> None:
    audit = compared([LINE], [], may_lack={CALL: "nobody saw it"})
    assert (audit.wrong, dict(audit.unrecorded)) == ([], {"nobody saw it": 1})
    assert "1 were billed and not entered: nobody saw it" in audit.told()


@pytest.mark.parametrize(
    ("line", "picodollars"),
    [
        ({"model": "tts", "characters": 7}, 7 * 15_000_000),
        ({"model": "whisper", "seconds": 1.2}, 2 * 100_000_000),
        ({"model": "dall-e-3", "images": 2, "quality": "hd", "image_size": "1792x1024"}, 264_000_000_000),
        ({"model": "gpt-4o-transcribe", "prompt_tokens": 9, "cached_tokens": 0, "input_audio_tokens": 8}, 80_500_000),
    ],
)
def test_every_unit_has_its_price(line: dict[str, Any], picodollars: int) -> None:
    assert cost_of({**LINE, **line}) == picodollars


def test_totals_are_the_lists() -> None:
    from devtools.audit.stage import disagreement

    sums = Sums(None)
    sums.count("20260701", [entry()])
    assert disagreement(sums, [entry()]) == []
    assert "1 attempts" in disagreement(sums, [])[0]
