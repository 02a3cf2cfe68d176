"""The audit of batches at a small scale, over sockets. `devtools bench batches` has it at large."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.audit import batch_books, batches
from devtools.audit.batch_files import MODEL, Results, custom_id, is_wrong
from devtools.audit.batches import Figures
from devtools.bench.batches import TWO
from devtools.storage import AZURITE
from shared.spend.entry import Entry

sockets = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
COST = (10 * 150_000 + 3 * 600_000) // 2
LINE: dict[str, Any] = {
    "custom_id": custom_id(0, 7), "price_factor": 0.5, "model": "gpt-4o-mini", "prompt_tokens": 10, "cached_tokens": 0,
    "completion_tokens": 3, "input_audio_tokens": 0, "input_image_tokens": 0, "output_audio_tokens": 0,
    "output_image_tokens": 0,
}  # fmt: skip


def entry(number: int = 7, **values: Any) -> Entry:
    usual: dict[str, Any] = {"status": "settled", "cost": COST, "usage": {"prompt": 10, "completion": 3}}
    return Entry(f"batch_ab_{number}.1", "batches", "k", MODEL, 0.0, **{**usual, **values})


def results(**values: Any) -> Results:
    return Results(0, 8, **values)


def assert_agrees(figures: Figures, count: int, lines: int) -> None:
    refused = sum(is_wrong(number) for number in range(lines))
    assert figures.wrong == []
    assert figures.completed == count
    assert (figures.sum("missing"), figures.sum("duplicates"), figures.left) == (0, 0, 0)
    assert figures.sum("answers") + figures.sum("errors") == count * lines
    assert figures.sum("errors") >= count * refused
    assert figures.books.entries == figures.books.lines > 0
    assert figures.books.entered == figures.books.billed == figures.told_cost > 0


@sockets
def test_a_batch_over_three_quotas_comes_back_as_one_with_hosts_that_are_killed() -> None:
    figures = batches.run([300], {"east": 0.6, "west": 0.4, "sweden": 0.3}, host_count=2, kill_s=4.0)
    assert_agrees(figures, 1, 300)
    assert figures.kills > 0
    assert len(figures.by_resource) > 1


@sockets
def test_eight_batches_over_two_deployments_all_find_their_file() -> None:
    figures = batches.run([130] * 8, TWO)
    assert_agrees(figures, 8, 130)
    assert len(figures.by_resource) == 2


def test_books_of_a_batch_that_agree_agree() -> None:
    books = batch_books.compared([LINE], [entry(), entry(6, status="failed")], results(tokens={7: (10, 3)}))
    assert (books.wrong, books.entries, books.failed, books.lines) == ([], 1, 1, 1)
    assert (books.entered, books.billed) == (COST, COST)


@pytest.mark.parametrize(
    ("bill", "entries", "tokens", "says"),
    [
        ([LINE], [], {}, "entered []"),
        ([], [entry()], {}, "billed []"),
        ([LINE], [entry(), entry()], {}, "listed more than once"),
        ([LINE, LINE], [entry()], {}, "billed [Ran"),
        ([LINE], [entry(cost=COST + 1)], {}, "billed [Ran"),
        ([LINE], [entry(status="unknown")], {}, "unknown"),
        ([LINE], [entry()], {7: (10, 4)}, "its caller was told"),
    ],
)
def test_what_must_not_be_in_the_books_of_a_batch_is_found(
    bill: list[dict[str, Any]], entries: list[Entry], tokens: dict[int, tuple[int, int]], says: str
) -> None:
    assert says in " ".join(batch_books.compared(bill, entries, results(tokens=tokens)).wrong)


def test_results_are_counted() -> None:
    from orjson import dumps

    def told(number: int, status: int = 200) -> bytes:
        usage = {"prompt_tokens": 10, "completion_tokens": 3}
        return dumps({
            "custom_id": custom_id(0, number),
            "response": {"status_code": status, "body": {"model": MODEL, "usage": usage}},
        })  # fmt: skip

    found = results()
    found.take([told(1), told(2), told(1), told(9)], errors=False)
    found.take([told(3, 500), told(4)], errors=True)
    assert (found.answers, found.errors, found.duplicates, found.missing) == (4, 2, 1, 3)
    assert found.tokens[2] == (10, 3)
    assert found.wrong == [
        "batch-0-line-9: nobody asked for it",
        "batch-0-line-4: 200 in the file of errors",
    ]
