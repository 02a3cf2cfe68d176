"""One row is written for two fifths of what the library's client takes, as long as all goes well.

A write by azure-data-tables costs half a millisecond of CPU: generated serializers, thirteen policies, a span, a parsed
header for each that came. The ledger is written every few milliseconds, and all calls pay for it. Here the same request
leaves through the same transport and pipeline, azure-core's, with one policy: the one that signs it. It asks for
nothing but that the row is there afterwards. Whatever else is answered, or happens, is `None`, and the caller has the
library write the same row: it knows errors, waits and repeats, and finds out what an account wants.

So it is for writes that may be repeated, and which the library repeats as well: PUT of a row, whole, with or without an
ETag, and many such PUTs as one transaction, where the library's way through the package `email` takes twenty times as
much. An insert is a POST; the library lets one fail whose acknowledgement was lost. Imported with the library only.
"""

from __future__ import annotations

import base64
import hmac
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

import orjson
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import AsyncPipeline, PipelineRequest
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpTransport, HttpRequest
from azure.data.tables import EdmType, EntityProperty
from yarl import URL

from shared.storage.connection import CONNECT_S, READ_S

SCOPE = "https://storage.azure.com/.default"
"""What a token is asked for, in every cloud; the library asks for the same."""
REST_S = 30.0
"""After an answer that was not to be expected, or none, the library does all the writing for so long."""
WELL = frozenset({404, 412})
"""No table yet, or another ETag: nothing is wrong with how we ask."""
_HEADERS = {"DataServiceVersion": "3.0", "Content-Type": "application/json", "Accept": "application/json"}
_PART = "\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_PUT = " HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in _HEADERS.items()) + "\r\n"
_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})\b", re.MULTILINE)
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


class SharedKeyLite(SansIOHTTPPolicy[Any, Any]):
    """Signs with an account's key.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key, "Shared Key Lite and Table service
    authorization": HMAC-SHA256 over `x-ms-date`, a newline, a slash, the account and the path as it is sent.
    """

    def __init__(self, account: str, key: str) -> None:
        """Raises ValueError for a key that is not base64."""
        self._account = account
        self._key = base64.b64decode(key)

    def on_request(self, request: PipelineRequest[Any]) -> None:
        asked = request.http_request
        date = formatdate(usegmt=True)
        path = URL(asked.url).raw_path  # as aiohttp will send it
        digest = hmac.digest(self._key, f"{date}\n/{self._account}{path}".encode(), "sha256")
        asked.headers["x-ms-date"] = date
        asked.headers["Authorization"] = f"SharedKeyLite {self._account}:{base64.b64encode(digest).decode()}"


class Direct:
    """What reaches one table past the library's client. Belongs to the running event loop; may be called concurrently.

    A subclass gives the headers of its requests, but `x-ms-version`.
    """

    headers: ClassVar[Mapping[str, str]]

    def __init__(
        self,
        url: str,
        version: str,
        policy: Any,
        transport: AsyncHttpTransport[Any, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` is the table's, `version` the service's. The transport is closed with this."""
        self._url = url
        self._headers = {**self.headers, "x-ms-version": version}
        self._transport = transport
        self._pipeline: AsyncPipeline[Any, Any] = AsyncPipeline(transport, [policy])
        self._clock = clock
        self._rests_until = -math.inf

    async def close(self) -> None:
        await self._transport.close()

    @property
    def _rests(self) -> bool:
        return self._clock() < self._rests_until

    def _rest(self) -> None:
        """The library does it all for a while."""
        self._rests_until = self._clock() + REST_S


class Writer(Direct):
    """Writes rows of one table."""

    headers = _HEADERS

    async def put(self, entity: Mapping[str, Any], etag: str | None = None) -> str | None:
        """Writes an entity as `upsert_entity` or, in place of the one with this ETag, `update_entity` would, and gives
        its new ETag. None: nothing is known of it, and it is for the library to write it."""
        if self._rests:
            return None
        try:
            request = self._request(entity, etag)
        except (TypeError, ValueError):
            return None  # the library says what is wrong with it
        status = 0
        try:
            response = (await self._pipeline.run(request)).http_response
            status = response.status_code
            if status == 204:
                return str(response.headers["ETag"])
        except (AzureError, OSError, ValueError, KeyError):
            pass  # no connection, no answer, no token, no ETag, closed meanwhile
        if status not in WELL:
            self._rest()
        return None

    async def put_all(self, entities: Sequence[Mapping[str, Any]]) -> bool:
        """Writes entities of one partition as one transaction of `upsert_entity`. False: nothing is known of it, and it
        is for the library to write them.

        https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions: the answer is 202,
        with a 204 for each, or with the one that failed.
        """
        if self._rests:
            return False
        try:
            request = self._transaction(entities)
        except (TypeError, ValueError):
            return False
        status, told = 0, b""
        try:
            response = (await self._pipeline.run(request)).http_response
            status, told = response.status_code, response.body()
        except (AzureError, OSError, ValueError, KeyError, AttributeError):
            pass
        if status == 202 and _STATUS.findall(told) == [b"204"] * len(entities):
            return True
        if status not in (202, *WELL):
            self._rest()
        return False

    def _transaction(self, entities: Sequence[Mapping[str, Any]]) -> HttpRequest:
        batch, changes = f"batch_{uuid4()}", f"changeset_{uuid4()}"
        parts = [f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n\r\n".encode()]
        for one in entities:
            url = self._url + place_of(one["PartitionKey"], one["RowKey"])
            parts += (f"--{changes}{_PART}PUT {url}{_PUT}".encode(), body_of(one), b"\r\n")
        parts.append(f"--{changes}--\r\n\r\n--{batch}--\r\n".encode())
        headers = {**self._headers, "Content-Type": f"multipart/mixed; boundary={batch}"}
        request = HttpRequest("POST", f"{self._url.rpartition('/')[0]}/$batch", headers=headers)
        request.set_bytes_body(b"".join(parts))
        return request

    def _request(self, entity: Mapping[str, Any], etag: str | None) -> HttpRequest:
        if etag == "":
            raise ValueError("If-Match needs an ETag")
        url = self._url + place_of(entity["PartitionKey"], entity["RowKey"])
        headers = self._headers if etag is None else {**self._headers, "If-Match": etag}
        request = HttpRequest("PUT", url, headers=headers)
        request.set_bytes_body(body_of(entity))
        return request


def place_of(partition: str, key: str) -> str:
    """What follows a table's URL in a row's."""
    partition, key = (quote(part.replace("'", "''"), safe="") for part in (partition, key))
    return f"(PartitionKey='{partition}',RowKey='{key}')"


def writer_of(service: Any, table: str, transport: Callable[[], AsyncHttpTransport[Any, Any]]) -> Writer | None:
    """The writer beside a TableServiceClient. None where there is no policy for it."""
    policy = policy_of(service)
    return None if policy is None else Writer(f"{service.url}/{table}", service.api_version, policy, transport())


def policy_of(service: Any) -> Any:
    """What signs the requests of a TableServiceClient. None where the library signs in another way: with a shared
    access signature, or at Cosmos DB."""
    place = urlsplit(service.url)
    credential = service.credential
    if place.query or ".cosmos" in place.netloc:
        return None
    if isinstance(credential, AzureNamedKeyCredential):
        try:
            return SharedKeyLite(*credential.named_key)
        except ValueError:
            return None
    return AsyncBearerTokenCredentialPolicy(credential, SCOPE) if hasattr(credential, "get_token") else None


def create_transport() -> AsyncHttpTransport[Any, Any]:
    """Sockets without the environment's proxies. They are opened on the running loop, with the first request."""
    transport: AsyncHttpTransport[Any, Any] = AioHttpTransport(
        connection_timeout=CONNECT_S, read_timeout=READ_S, use_env_settings=False
    )
    return transport


def body_of(entity: Mapping[str, Any]) -> bytes:
    """An entity as JSON. Raises TypeError or ValueError for one that has to be written in another way.

    https://learn.microsoft.com/rest/api/storageservices/payload-format-for-table-service-operations: strings, booleans
    and 32-bit integers are what they are, every other type is named beside the value.
    """
    written: dict[str, Any] = {}
    for name, value in entity.items():
        kind = type(value)
        if kind is bytes:
            written[name], edm = base64.b64encode(value).decode(), EdmType.BINARY
        elif kind is float:
            written[name], edm = _finite(value), EdmType.DOUBLE
        elif kind is EntityProperty and value.edm_type is EdmType.INT64 and -(2**63) <= value.value < 2**63:
            written[name], edm = str(value.value), EdmType.INT64
        elif kind in (str, bool) or (kind is int and -(2**31) <= value < 2**31):
            written[name] = value
            continue
        else:
            raise TypeError(name)
        written[f"{name}@odata.type"] = edm.value
    return orjson.dumps(written)


def _finite(value: float) -> float | str:
    return value if math.isfinite(value) else _NOT_FINITE.get(value, "NaN")
