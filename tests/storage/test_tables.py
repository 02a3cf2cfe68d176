"""Rows in Azurite: written, swapped, listed, removed, and what two writers of one row see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.storage import AZURITE
from shared.errors import StorageFailed
from shared.storage.account import Account
from shared.storage.tables import AzureTable, Row, escaped, unescaped

needs_azurite = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")


@pytest.fixture
async def table(azurite: str) -> AsyncIterator[AzureTable]:
    """A table that does not exist yet."""
    made = AzureTable(Account(azurite), f"test{uuid4().hex}")
    yield made
    await made.close()


class Impatient(AzureTable):
    operation_s = 2.0


def row(key: str, partition: str = "p", **properties: str | int | float | bool | bytes) -> Row:
    return Row(partition, key, {"v": 1, **properties})


async def keys(table: AzureTable, partition: str = "p") -> list[str]:
    return [one.key for one in await table.rows(partition, 1000)]


@needs_azurite
async def test_a_row_comes_back_with_every_kind_of_value(table: AzureTable) -> None:
    written = row("k", text="ü", small=-7, large=2**40, share=0.25, yes=True, packed=bytes(range(256)))
    await table.put(written)
    assert await table.get("p", "k") == written


@needs_azurite
async def test_a_row_is_replaced_whole(table: AzureTable) -> None:
    await table.put(row("k", old=1))
    await table.put(row("k", new=2))
    assert await table.get("p", "k") == row("k", new=2)


@needs_azurite
async def test_only_the_first_insert_of_a_row_counts(table: AzureTable) -> None:
    assert await table.insert(row("k", by="first"))
    assert not await table.insert(row("k", by="second"))
    assert await table.get("p", "k") == row("k", by="first")


@needs_azurite
async def test_of_two_swaps_of_the_same_row_one_succeeds(table: AzureTable) -> None:
    await table.put(row("k", count=0))
    seen = await table.get("p", "k")
    assert seen is not None
    etags = await asyncio.gather(*(table.swap(row("k", count=count), seen.etag) for count in (1, 2)))
    winner = etags.index(next(filter(None, etags)))
    assert etags.count(None) == 1
    assert await table.get("p", "k") == row("k", count=winner + 1)


@needs_azurite
async def test_the_etag_of_a_swap_serves_for_the_next(table: AzureTable) -> None:
    await table.put(row("k", count=0))
    seen = await table.get("p", "k")
    assert seen is not None
    etag = await table.swap(row("k", count=1), seen.etag)
    assert etag
    assert await table.swap(row("k", count=2), etag)
    assert await table.swap(row("k", count=3), etag) is None


@needs_azurite
async def test_a_row_that_is_gone_cannot_be_swapped(table: AzureTable) -> None:
    await table.put(row("k"))
    seen = await table.get("p", "k")
    assert seen is not None
    await table.remove("p", "k")
    assert await table.swap(row("k", count=1), seen.etag) is None
    assert await table.get("p", "k") is None


@needs_azurite
async def test_rows_are_listed_by_key_between_two_of_them(table: AzureTable) -> None:
    await table.put_all([row(key) for key in "dabce"])
    assert await keys(table) == ["a", "b", "c", "d", "e"]
    assert [one.key for one in await table.rows("p", 2, after="b")] == ["c", "d"]
    assert [one.key for one in await table.rows("p", 9, after="b", before="d")] == ["c"]


@needs_azurite
async def test_a_scan_goes_over_partitions_and_on_from_any_row(table: AzureTable) -> None:
    for partition in ("m1", "m2", "n1"):
        await table.put_all([row(key, partition) for key in "ab"])
    found = await table.scan("m", "n", 3)
    assert [(one.partition, one.key) for one in found] == [("m1", "a"), ("m1", "b"), ("m2", "a")]
    rest = await table.scan("m", "n", 9, after=("m2", "a"))
    assert [(one.partition, one.key) for one in rest] == [("m2", "b")]


@needs_azurite
async def test_rows_are_removed_together_though_some_are_gone(table: AzureTable) -> None:
    await table.put_all([row(f"{number:03}") for number in range(100)])
    await table.put_all([row(f"{number:03}") for number in range(100, 150)])
    await table.remove("p", "007")
    await table.remove_all("p", [f"{number:03}" for number in range(149)])
    assert await keys(table) == ["149"]


@needs_azurite
async def test_what_was_never_there_can_be_read_and_removed(table: AzureTable) -> None:
    assert await table.get("p", "k") is None
    assert await table.rows("p", 5) == []
    await table.remove("p", "k")
    await table.remove_all("p", ["k"])


@needs_azurite
async def test_a_table_that_does_not_answer_is_a_storage_failure(azurite: str) -> None:
    account = Account(azurite)
    dead = replace(account, connection_string=str(account.connection_string).replace("127.0.0.1:", "127.0.0.1:1"))
    table = Impatient(dead, "never")
    with pytest.raises(StorageFailed):
        await table.get("p", "k")
    await table.close()


@given(st.text(max_size=30))
def test_any_text_can_stand_in_a_key_and_is_read_back(text: str) -> None:
    assert not set(escaped(text)) & set("/\\#?%\n\t\r\x7f")
    assert unescaped(escaped(text)) == text


@needs_azurite
async def test_of_rows_only_what_is_wanted_is_read(table: AzureTable) -> None:
    await table.put(row("a", text="x", number=2**40, other="y"))
    await table.put(row("b", other="z"))
    found = await table.rows("p", 10, only=("text", "number"))
    assert [(one.key, one.properties) for one in found] == [("a", {"text": "x", "number": 2**40}), ("b", {})]
    assert await table.swap(row("b", text="new"), found[1].etag) is not None
