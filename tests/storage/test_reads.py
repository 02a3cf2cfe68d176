"""Rows read past the library's client: the same rows, and the library's own reading whenever something is amiss."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import orjson
import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from hypothesis import given, settings

from devtools.storage import ACCOUNT_KEY
from shared.storage import writes
from shared.storage.account import Account
from shared.storage.reads import Reader, reader_of
from shared.storage.tables import AzureTable, Row
from shared.storage.writes import REST_S
from tests.storage.test_writes import (
    HTTPS,
    ROWS,
    Clock,
    Credential,
    Handler,
    Sockets,
    Watched,
    comparable,
    needs_azurite,
    raising,
    really,
    service,
)


class Library(AzureTable):
    """A table that the library alone reads."""

    def _load(self) -> Any:
        client = super()._load()
        self._reader = None
        return client


def answering(status: int, body: bytes = b"", **headers: str) -> Handler:
    async def handler(request: Any, send: Any) -> Any:
        return SimpleNamespace(status_code=status, headers=headers, body=lambda: body)

    return handler


def error(code: str) -> bytes:
    return orjson.dumps({"odata.error": {"code": code, "message": {"lang": "en-us", "value": "x"}}})


def entity(**more: Any) -> bytes:
    return orjson.dumps({"PartitionKey": "p", "RowKey": "k", "Timestamp": "2026-01-02T03:04:05.1234567Z", **more})


Make = Callable[..., tuple[AzureTable, Sockets]]


@pytest.fixture
async def make(azurite: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Makes tables that do not exist yet, with the sockets that they are read through."""
    made: list[AzureTable] = []

    def table(handler: Handler = really) -> tuple[AzureTable, Sockets]:
        sockets = Sockets(handler)
        monkeypatch.setattr(writes, "create_transport", lambda: sockets)
        made.append(Watched(Account(azurite), f"test{uuid4().hex}", really))
        return made[-1], sockets

    yield table
    for one in made:
        await one.close()


@needs_azurite
async def test_a_row_is_read_past_the_client_whether_or_not_it_is_there(make: Make) -> None:
    table, sockets = make()
    assert await table.get("p", "k") is None  # there is no table
    await table.put(Row("p", "k", {"number": 2}))
    assert await table.get("p", "k") == Row("p", "k", {"v": 1, "number": 2})
    assert await table.get("p", "other") is None
    assert sockets.statuses == [404, 200, 404]


@needs_azurite
@settings(max_examples=60)
@given(ROWS)
async def test_a_row_is_the_same_whoever_reads_it(azurite: str, row: Row) -> None:
    ours, theirs = AzureTable(Account(azurite), "read"), Library(Account(azurite), "read")
    try:
        await theirs.put(row)
        found, known = await ours.get(row.partition, row.key), await theirs.get(row.partition, row.key)
        assert found is not None
        assert known is not None
        assert comparable(found) == comparable(known)
        assert (found.etag, found.changed_at) == (known.etag, known.changed_at)
        assert ours._reader is not None
        assert await ours._reader.get(row.partition, row.key) is not None
    finally:
        await ours.close()
        await theirs.close()


@needs_azurite
async def test_the_etag_that_is_read_serves_for_a_swap(make: Make) -> None:
    table, sockets = make()
    await table.put(Row("p", "k", {"number": 1}))
    seen = await table.get("p", "k")
    assert seen is not None
    assert await table.swap(Row("p", "k", {"number": 2}), seen.etag)
    assert await table.swap(Row("p", "k", {"number": 3}), seen.etag) is None
    assert sockets.statuses == [200]


AMISS: list[Handler] = [
    *(answering(status, entity()) for status in (204, 307, 400, 401, 403, 409, 412, 429, 500, 503)),
    answering(200, b"<html>"),
    answering(200, entity()),  # without an ETag
    answering(200, entity(when="2026", **{"when@odata.type": "Edm.DateTime"}), ETag="1"),
    answering(200, entity(list=[1]), ETag="1"),
    answering(404, b"<html>"),
    answering(404, error("ResourceTypeNotSupported")),
    raising(ServiceRequestError("no connection")),
    raising(ServiceResponseError("no answer")),
    raising(ClientAuthenticationError("no token")),
    raising(ConnectionResetError()),
    raising(TimeoutError()),
]


@needs_azurite
@pytest.mark.parametrize("handler", AMISS)
async def test_whatever_is_amiss_the_library_reads_the_row(make: Make, handler: Handler) -> None:
    table, sockets = make(handler)
    await table.put(Row("p", "k", {"number": 1}))
    for _ in range(2):
        assert await table.get("p", "k") == Row("p", "k", {"v": 1, "number": 1})
        assert await table.get("p", "other") is None
    assert len(sockets.asked) == 1  # the reader rests


@pytest.mark.parametrize(
    ("handler", "asked"),
    [
        (answering(200, entity(), ETag="1"), 3),
        (answering(404, error("ResourceNotFound")), 3),
        (answering(404, error("TableNotFound")), 3),
        (answering(404, error("AccountNotFound")), 2),
        (answering(503), 2),
    ],
)
async def test_after_an_answer_that_is_amiss_the_reader_rests(handler: Handler, asked: int) -> None:
    sockets, clock = Sockets(handler), Clock()
    reader = Reader(f"{HTTPS}/t", "2019-02-02", None, sockets, clock)
    for now in (1000.0, 1000.0 + REST_S - 1, 1000.0 + REST_S):
        clock.now = now
        await reader.get("p", "k")
    assert len(sockets.asked) == asked


async def test_an_identity_sends_its_token() -> None:
    sockets = Sockets(answering(200, entity(), ETag="W/1"))
    reader = reader_of(service(HTTPS, Credential()), "t", lambda: sockets)
    assert reader is not None
    assert await reader.get("o'p", "ä b") == (Row("p", "k", {}),)
    [request] = sockets.asked
    assert request.headers["Authorization"] == "Bearer a-token"
    assert request.url == f"{HTTPS}/t(PartitionKey='o%27%27p',RowKey='%C3%A4%20b')"


@pytest.mark.parametrize(
    "told",
    [
        service(HTTPS, AzureSasCredential("sv=1&sig=x")),
        service(f"{HTTPS}?sv=1&sig=x", None),
        service("https://account.table.cosmos.azure.com:443", AzureNamedKeyCredential("account", ACCOUNT_KEY)),
    ],
    ids=["credential", "url", "cosmos"],
)
def test_another_way_of_signing_in_is_left_to_the_library(told: Any) -> None:
    assert reader_of(told, "t", lambda: Sockets(really)) is None


@needs_azurite
async def test_a_closed_table_has_closed_the_sockets_it_was_read_through(make: Make) -> None:
    table, sockets = make()
    await table.get("p", "k")
    await table.close()
    assert sockets.closed


@needs_azurite
async def test_where_the_environment_names_a_proxy_the_library_reads(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    table, sockets = make()
    assert await table.get("p", "k") is None
    assert sockets.asked == []
