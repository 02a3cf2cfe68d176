"""Rows written past the library's client: the same rows, and the library's own work whenever something is amiss."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AsyncHttpTransport, HttpRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.storage import ACCOUNT, ACCOUNT_KEY, AZURITE
from shared.errors import StorageFailed
from shared.storage.account import Account
from shared.storage.tables import AzureTable, Row, Value, escaped
from shared.storage.writes import REST_S, SCOPE, Writer, body_of, create_transport, writer_of

needs_azurite = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
Send = Callable[[HttpRequest], Awaitable[Any]]
Handler = Callable[[HttpRequest, Send], Awaitable[Any]]
ENTITY = {"PartitionKey": "p", "RowKey": "k", "v": 1}
HTTPS = "https://account.table.core.windows.net"


class Sockets(AsyncHttpTransport[Any, Any]):
    """The writer's transport: `handler` answers, perhaps by really sending. `statuses` is what came of it."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.statuses: list[int] = []
        self.asked: list[HttpRequest] = []
        self.closed = False
        self._real = create_transport()

    async def send(self, request: HttpRequest, **options: Any) -> Any:
        self.asked.append(request)
        answer = await self.handler(request, lambda asked: self._real.send(asked, **options))
        self.statuses.append(answer.status_code)
        return answer

    async def open(self) -> None:
        await self._real.open()

    async def close(self) -> None:
        self.closed = True
        await self._real.close()

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class Watched(AzureTable):
    """A table whose writer's transport is known."""

    def __init__(self, account: Account, name: str, handler: Handler) -> None:
        super().__init__(account, name)
        self.handler = handler
        self.sockets: list[Sockets] = []

    def _sockets(self) -> Sockets:
        self.sockets.append(Sockets(self.handler))
        return self.sockets[-1]

    @property
    def statuses(self) -> list[int]:
        return self.sockets[-1].statuses

    @property
    def asked(self) -> int:
        return len(self.sockets[-1].asked)


class Library(AzureTable):
    """A table to which the library alone writes."""

    def _load(self) -> Any:
        client = super()._load()
        self._writer = None
        return client


async def really(request: HttpRequest, send: Send) -> Any:
    return await send(request)


def answering(status: int, **headers: str) -> Handler:
    async def handler(request: HttpRequest, send: Send) -> Any:
        return SimpleNamespace(status_code=status, headers=headers)

    return handler


def raising(error: Exception, *, sent: bool = False) -> Handler:
    async def handler(request: HttpRequest, send: Send) -> Any:
        if sent:
            await send(request)
        raise error

    return handler


Make = Callable[..., Watched]


@pytest.fixture
async def make(azurite: str) -> AsyncIterator[Make]:
    """Makes tables that do not exist yet."""
    made: list[Watched] = []

    def table(handler: Handler = really) -> Watched:
        made.append(Watched(Account(azurite), f"test{uuid4().hex}", handler))
        return made[-1]

    yield table
    for one in made:
        await one.close()


@needs_azurite
async def test_rows_are_written_past_the_client_once_there_is_a_table(make: Make) -> None:
    table = make()
    for number in range(3):
        await table.put(Row("p", "k", {"number": number}))
    assert table.statuses == [404, 204, 204, 204]
    found = await table.get("p", "k")
    assert found == Row("p", "k", {"v": 1, "number": 2})


@needs_azurite
async def test_a_swap_past_the_client_heeds_the_etag(make: Make) -> None:
    table = make()
    await table.put(Row("p", "k", {"by": "first"}))
    seen = await table.get("p", "k")
    assert seen is not None
    etag = await table.swap(Row("p", "k", {"by": "second"}), seen.etag)
    assert await table.swap(Row("p", "k", {"by": "third"}), seen.etag) is None
    assert table.statuses == [404, 204, 204, 412]
    found = await table.get("p", "k")
    assert found is not None
    assert (found.etag, found.properties["by"]) == (etag, "second")


KEYS = st.one_of(
    st.text(max_size=20).map(escaped),
    st.text("aZ09 '\"()$&+,;:=@<>~^`{}[]|*.-_!äß€漢😀", max_size=20),  # what is legal and looks odd in a URL
)
VALUES: st.SearchStrategy[Value] = st.one_of(
    st.text(max_size=30),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**31) - 1, 2**31 + 1),
    st.floats(),
    st.booleans(),
    st.binary(max_size=40),
)
ROWS = st.builds(Row, KEYS, KEYS, st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), VALUES, max_size=5))


def comparable(row: Row | None) -> Any:
    """A row, with values whose types differ kept apart, and NaN equal to itself."""
    assert row is not None
    return row.partition, row.key, {name: (type(value), repr(value)) for name, value in row.properties.items()}


@needs_azurite
@settings(max_examples=60)
@given(ROWS)
async def test_the_library_reads_the_same_whoever_wrote_it(azurite: str, row: Row) -> None:
    ours = Watched(Account(azurite), "ours", really)
    theirs = Library(Account(azurite), "theirs")
    try:
        await ours.put(row)
        await theirs.put(row)
        assert ours.statuses[-1] == 204
        read = comparable(await ours.get(row.partition, row.key))
        assert read == comparable(await theirs.get(row.partition, row.key))
        kept = {name: 0.0 if value == 0.0 and type(value) is float else value for name, value in row.properties.items()}
        assert read == comparable(Row(row.partition, row.key, {"v": 1, **kept}))  # Azurite keeps no sign of a zero
    finally:
        await ours.close()
        await theirs.close()


@needs_azurite
async def test_each_of_the_two_replaces_what_the_other_wrote(make: Make, azurite: str) -> None:
    ours = make()
    theirs = Library(Account(azurite), ours._name)
    await ours.put(Row("o'p", "k k", {"old": 1}))
    await theirs.put(Row("o'p", "k k", {"new": b"2"}))
    assert await ours.get("o'p", "k k") == Row("o'p", "k k", {"v": 1, "new": b"2"})
    await ours.put(Row("o'p", "k k", {"newest": 3.5}))
    assert await theirs.get("o'p", "k k") == Row("o'p", "k k", {"v": 1, "newest": 3.5})
    assert len(await theirs.rows("o'p", 10)) == 1
    await theirs.close()


AMISS: list[Handler] = [
    *(answering(status, ETag="no") for status in (200, 202, 307, 400, 401, 403, 404, 409, 412, 429, 500, 503)),
    answering(204),  # without an ETag
    raising(ServiceRequestError("no connection")),
    raising(ServiceResponseError("no answer")),
    raising(ClientAuthenticationError("no token")),
    raising(ConnectionResetError()),
    raising(TimeoutError()),
    raising(ValueError("closed")),
]


@needs_azurite
@pytest.mark.parametrize("handler", AMISS)
async def test_whatever_is_amiss_the_library_writes_the_row(make: Make, handler: Handler) -> None:
    table = make(handler)
    await table.put(Row("p", "k", {"number": 1}))
    found = await table.get("p", "k")
    assert found == Row("p", "k", {"v": 1, "number": 1})
    assert await table.swap(Row("p", "k", {"number": 2}), found.etag)
    assert await table.get("p", "k") == Row("p", "k", {"v": 1, "number": 2})


@needs_azurite
async def test_a_lost_acknowledgement_is_repeated_harmlessly(make: Make) -> None:
    table = make()
    await table.put(Row("p", "k", {"number": 0}))
    table.sockets[-1].handler = raising(ServiceResponseError("the answer was lost"), sent=True)
    await table.put(Row("p", "k", {"number": 1}))
    assert await table.rows("p", 10) == [Row("p", "k", {"v": 1, "number": 1})]


@needs_azurite
async def test_a_swap_whose_acknowledgement_was_lost_finds_its_own_change(make: Make) -> None:
    table = make()
    await table.put(Row("p", "k", {"number": 0}))
    seen = await table.get("p", "k")
    assert seen is not None
    table.sockets[-1].handler = raising(ServiceResponseError("the answer was lost"), sent=True)
    assert await table.swap(Row("p", "k", {"number": 1}), seen.etag) is None
    assert await table.get("p", "k") == Row("p", "k", {"v": 1, "number": 1})


@needs_azurite
async def test_silence_lasts_no_longer_than_one_operation(make: Make) -> None:
    async def silent(request: HttpRequest, send: Send) -> Any:
        await asyncio.sleep(60)

    table = make()
    await table.put(Row("p", "k", {}))
    table.sockets[-1].handler = silent
    table.operation_s = 0.1  # type: ignore[misc]
    with pytest.raises(StorageFailed):
        await table.put(Row("p", "k", {"number": 1}))


@needs_azurite
async def test_an_insert_is_the_librarys_alone(make: Make) -> None:
    """It would find its own row where the library tells of a failure."""
    table = make()
    assert await table.insert(Row("p", "k", {}))
    assert not await table.insert(Row("p", "k", {}))
    assert table.asked == 0


@needs_azurite
async def test_a_closed_table_has_closed_its_sockets_and_opens_others(make: Make) -> None:
    table = make()
    await table.put(Row("p", "k", {}))
    await table.close()
    assert table.sockets[0].closed
    await table.put(Row("p", "k", {"again": True}))
    assert [one.statuses for one in table.sockets] == [[404, 204], [204]]


@needs_azurite
async def test_what_only_the_library_can_say_is_left_to_it(make: Make) -> None:
    table = make()
    with pytest.raises(TypeError, match="too large"):
        await table.put(Row("p", "k", {"number": 2**63}))
    with pytest.raises(StorageFailed):
        await table.swap(Row("p", "k", {}), "")
    assert table.asked == 0


@needs_azurite
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy"])
async def test_where_the_environment_names_a_proxy_the_library_writes(
    make: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(name, "http://proxy.example:3128")
    table = make()
    await table.put(Row("p", "k", {}))
    assert table.sockets == []


@needs_azurite
async def test_a_transaction_is_written_past_the_client_once_there_is_a_table(make: Make) -> None:
    table = make()
    rows = [Row("p", f"k {number}", {"v": 1, "number": number}) for number in range(100)]
    await table.put_all(rows)
    await table.put_all(rows[:1])
    assert table.statuses[-2:] == [202, 202]
    assert sorted(await table.rows("p", 1000), key=lambda row: int(row.properties["number"])) == rows


@needs_azurite
async def test_of_a_transaction_the_library_reads_the_same_whoever_wrote_it(make: Make, azurite: str) -> None:
    """The emulator's parser of transactions takes no key that looks odd, whoever sends it."""
    ours = make()
    theirs = Library(Account(azurite), f"test{uuid4().hex}")
    values: dict[str, Value] = {
        "text": "ü 😀\r\n--x",
        "small": -7,
        "large": 2**40,
        "share": 0.25,
        "yes": True,
        "packed": bytes(range(256)),
    }
    rows = [Row("2026-01", key, values) for key in ("20260102|key_1|gpt-4o|d-1|i", "plain", "two words")]
    for table in (ours, theirs):
        await table.put_all(rows)
    assert ours.statuses[-1] == 202
    for row in rows:
        read = comparable(await theirs.get(row.partition, row.key))
        assert comparable(await ours.get(row.partition, row.key)) == read
        assert read == comparable(Row(row.partition, row.key, {"v": 1, **values}))
    await theirs.close()


def parts(*statuses: int) -> bytes:
    """The answer to a transaction."""
    return b"".join(b"--x\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 %d Y\r\n\r\n" % one for one in statuses)


def told(status: int, body: bytes) -> Handler:
    async def handler(request: HttpRequest, send: Send) -> Any:
        return SimpleNamespace(status_code=status, headers={}, body=lambda: body)

    return handler


@needs_azurite
@pytest.mark.parametrize(
    "handler",
    [
        *AMISS,
        told(202, b""),
        told(202, parts(204)),
        told(202, parts(204, 400)),
        told(202, parts(204, 204, 204)),
        told(200, parts(204, 204)),
    ],
)
async def test_whatever_is_amiss_the_library_writes_the_transaction(make: Make, handler: Handler) -> None:
    table = make(handler)
    rows = [Row("p", key, {"v": 1, "number": 1}) for key in ("a", "b")]
    await table.put_all(rows)
    assert await table.rows("p", 10) == rows


@needs_azurite
async def test_a_transaction_is_all_or_nothing(make: Make) -> None:
    table = make()
    await table.put(Row("p", "a", {"number": 0}))
    with pytest.raises(StorageFailed):
        await table.put_all([Row("p", "a", {"number": 1}), Row("p", "b", {"text": "x" * 70_000})])
    assert await table.rows("p", 10) == [Row("p", "a", {"v": 1, "number": 0})]


async def test_a_transaction_is_understood_and_after_silence_the_writer_rests() -> None:
    sockets, clock = Sockets(told(202, parts(204, 204))), Clock()
    writer = Writer(f"{HTTPS}/t", "2019-02-02", None, sockets, clock)
    assert await writer.put_all([ENTITY, {**ENTITY, "RowKey": "l"}])
    assert sockets.asked[0].url == f"{HTTPS}/$batch"
    sockets.handler = raising(ServiceResponseError("no answer"))
    assert not await writer.put_all([ENTITY])
    assert not await writer.put_all([ENTITY])
    assert len(sockets.asked) == 2


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("status", "asked"), [(404, 3), (412, 3), (403, 2), (429, 2), (503, 2)], ids=lambda one: str(one)
)
async def test_after_an_answer_that_is_amiss_the_writer_rests(status: int, asked: int) -> None:
    sockets, clock = Sockets(answering(status)), Clock()
    writer = Writer(f"{HTTPS}/t", "2019-02-02", None, sockets, clock)
    for now in (1000.0, 1000.0 + REST_S - 1, 1000.0 + REST_S):
        clock.now = now
        assert await writer.put(ENTITY) is None
    assert len(sockets.asked) == asked


class Credential:
    """An identity's."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken("a-token", int(time.time()) + 3600)


def service(url: str, credential: Any) -> Any:
    """What a TableServiceClient tells of itself."""
    return SimpleNamespace(url=url, credential=credential, api_version="2019-02-02")


def beside(told: Any, handler: Handler) -> tuple[Writer, Sockets]:
    sockets = Sockets(handler)
    writer = writer_of(told, "t", lambda: sockets)
    assert writer is not None
    return writer, sockets


async def test_an_identity_sends_its_token_and_asks_for_it_once() -> None:
    credential = Credential()
    writer, sockets = beside(service(HTTPS, credential), answering(204, ETag="W/1"))
    assert [await writer.put(ENTITY) for _ in range(3)] == ["W/1"] * 3
    assert {request.headers["Authorization"] for request in sockets.asked} == {"Bearer a-token"}
    assert {request.url for request in sockets.asked} == {f"{HTTPS}/t(PartitionKey='p',RowKey='k')"}
    assert credential.scopes == [SCOPE]


async def test_no_token_leaves_without_tls() -> None:
    writer, sockets = beside(service(HTTPS.replace("https", "http"), Credential()), answering(204, ETag="W/1"))
    assert await writer.put(ENTITY) is None
    assert sockets.asked == []


async def test_an_account_key_signs_the_date_and_the_path_as_it_is_sent() -> None:
    """https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key"""
    writer, sockets = beside(service(HTTPS, AzureNamedKeyCredential("account", ACCOUNT_KEY)), answering(204, ETag="1"))
    await writer.put({"PartitionKey": "o'p", "RowKey": "ä b", "v": 1})
    [request] = sockets.asked
    date = request.headers["x-ms-date"]
    path = "/t(PartitionKey='o''p',RowKey='%C3%A4%20b')"
    signed = hmac.new(base64.b64decode(ACCOUNT_KEY), f"{date}\n/account{path}".encode(), hashlib.sha256).digest()
    assert request.headers["Authorization"] == f"SharedKeyLite account:{base64.b64encode(signed).decode()}"
    assert date.endswith(" GMT")
    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 5
    assert urlsplit(request.url).netloc == "account.table.core.windows.net"


@pytest.mark.parametrize(
    "told",
    [
        service(HTTPS, AzureSasCredential("sv=1&sig=x")),
        service(f"{HTTPS}?sv=1&sig=x", None),
        service("https://account.table.cosmos.azure.com:443", AzureNamedKeyCredential("account", ACCOUNT_KEY)),
        service(HTTPS, AzureNamedKeyCredential("account", "not base64")),
        service(HTTPS, None),
    ],
    ids=["credential", "url", "cosmos", "key", "nothing"],
)
def test_another_way_of_signing_in_is_left_to_the_library(told: Any) -> None:
    assert writer_of(told, "t", lambda: Sockets(really)) is None


@needs_azurite
async def test_nothing_secret_is_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    table = make()
    await table.put(Row("p", "k", {}))
    table.sockets[-1].handler = answering(403)
    await table.put(Row("p", "k", {}))
    writer, _ = beside(service(HTTPS, Credential()), raising(ServiceRequestError("no connection")))
    await writer.put(ENTITY)
    signature = str(table.sockets[-1].asked[0].headers["Authorization"]).partition(":")[2]
    for secret in (ACCOUNT_KEY, signature, "a-token"):
        assert secret not in caplog.text
        assert secret not in repr(vars(writer)) + repr(vars(table))
    assert ACCOUNT not in caplog.text


@pytest.mark.parametrize("value", [2**31, 2**63, -(2**63) - 1, None, "\ud800", ("a", "b"), [1]])
def test_a_value_that_is_unlike_any_of_a_rows_is_not_written(value: Any) -> None:
    """A large integer comes as the library's EntityProperty."""
    with pytest.raises((TypeError, ValueError)):
        body_of({**ENTITY, "value": value})


def test_numbers_that_json_does_not_have_are_named() -> None:
    assert b'"NaN"' in body_of({**ENTITY, "value": math.nan})
    assert b'"-Infinity"' in body_of({**ENTITY, "value": -math.inf})
