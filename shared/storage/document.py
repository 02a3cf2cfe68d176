"""The configuration in Blob Storage: read when the app is indexed, and again when it has changed.

It is read before anything else and on every start, so without Azure's libraries, whose import alone takes longer than
the rest of the start: one GET, with the managed identity's token, which Functions gives at IDENTITY_ENDPOINT. On a
laptop, where the token comes from elsewhere, the libraries are loaded.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from urllib.parse import SplitResult, unquote, urlencode, urlsplit

from shared.errors import ConfigError, StorageFailed
from shared.storage.account import Account

SETTING = "SPILLWAY_CONFIG"
BYTES_MAX = 8 * 1024 * 1024
CONNECT_S = 5.0
ANSWER_S = 10.0
START_S = 25.0
"""So long the start waits for the account; the host gives the whole start two minutes. A role that was given just now
takes some minutes, and an instance that did not start stays without functions for a while."""
PAUSE_S = 2.0
RESOURCE = "https://storage.azure.com"
API_VERSION = "2023-11-03"
TOKEN_LEFT_S = 300.0
_TOKEN_BYTES_MAX = 64 * 1024


class Document:
    """A text in a blob. Not for two threads at once; everything here blocks.

    `account` is the app's own: its connection string opens its own blobs. A URL with a signature opens itself.
    """

    def __init__(
        self,
        url: str,
        account: Account | None,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = _checked(url)
        self._account = account
        self._environ = environ
        self._clock = clock
        self._sleep = sleep
        self._etag: str | None = None
        self._token: tuple[str, float] = ("", 0.0)

    @property
    def name(self) -> str:
        """The URL without what signs it."""
        return f"{self._url.scheme}://{self._url.netloc}{self._url.path}"

    def first(self) -> str:
        """The text, waited for START_S seconds. Raises ConfigError."""
        until = self._clock() + START_S
        while True:
            try:
                text = self.read()
            except StorageFailed as error:
                if self._clock() + PAUSE_S > until:
                    raise ConfigError([f"{SETTING}: {self.name} could not be read: {error.message}"]) from error
                self._sleep(PAUSE_S)
            else:
                return text or ""

    def read(self) -> str | None:
        """The text, None when it is the one that was read last. Raises ConfigError and StorageFailed."""
        path, headers = self._signed()
        if self._etag is not None:
            headers["if-none-match"] = self._etag
        status, answered, body = _get(self._url, path, headers, BYTES_MAX)
        if status == 304:
            return None
        if status == 404 and self._etag is None:
            raise ConfigError([f"{SETTING}: there is no {self.name}."])
        if status != 200:
            raise StorageFailed(f"The storage account answered {status} {answered.get('x-ms-error-code', '')}".rstrip())
        self._etag = answered.get("etag")
        if len(body) > BYTES_MAX:
            raise ConfigError([f"{SETTING}: {self.name} has more than {BYTES_MAX} bytes."])
        try:
            return body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError([f"{SETTING}: {self.name} is not UTF-8 at byte {error.start}."]) from None

    def _signed(self) -> tuple[str, dict[str, str]]:
        """The request's path with its query, and its headers."""
        url = self._url
        headers = {"x-ms-version": API_VERSION, "accept-encoding": "identity"}
        if "sig=" in url.query:
            return f"{url.path}?{url.query}", headers
        own = None if self._account is None else self._account.connection_string
        query = None if own is None else _signature(own, url, self._clock())
        if query is not None:
            return f"{url.path}?{query}", headers
        return url.path, headers | {"authorization": f"Bearer {self._bearer()}"}

    def _bearer(self) -> str:
        token, expires_at = self._token
        if expires_at - TOKEN_LEFT_S <= self._clock():
            client_id = self._account.client_id if self._account is not None else None
            client_id = client_id or self._environ.get("AZURE_CLIENT_ID", "").strip() or None
            endpoint = self._environ.get("IDENTITY_ENDPOINT", "")
            header = self._environ.get("IDENTITY_HEADER", "")
            if endpoint and header:
                token, expires_at = _managed_identity(endpoint, header, client_id)
            else:
                token, expires_at = _default_credential(client_id)
            self._token = (token, expires_at)
        return token


def _checked(written: str) -> SplitResult:
    url = urlsplit(written)
    local = url.hostname in ("127.0.0.1", "localhost", "::1")
    if url.scheme not in ("https", "http") or not url.hostname or (url.scheme == "http" and not local):
        raise ConfigError(
            [f"{SETTING}: found another URL, expected https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB."]
        )
    if url.path.strip("/").count("/") < 1 or url.username is not None:
        raise ConfigError([f"{SETTING}: found another URL, expected one with a container and a blob, and no password."])
    return url


def _get(url: SplitResult, path: str, headers: Mapping[str, str], bytes_max: int) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and at most one byte more than `bytes_max`. Raises StorageFailed."""
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(url.hostname), url.port, timeout=CONNECT_S)
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_S)
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        answered = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answered, answer.read(bytes_max + 1)
    except (OSError, http.client.HTTPException) as error:
        raise StorageFailed(f"The storage account or its identity does not answer ({type(error).__name__}).") from error
    finally:
        connection.close()


def _managed_identity(endpoint: str, header: str, client_id: str | None) -> tuple[str, float]:
    """A token and when it ends, as App Service and Functions give them (api-version 2019-08-01)."""
    url = urlsplit(endpoint)
    query = {"api-version": "2019-08-01", "resource": RESOURCE} | ({"client_id": client_id} if client_id else {})
    path = f"{url.path}?{urlencode(query)}"
    status, _, body = _get(url, path, {"x-identity-header": header}, _TOKEN_BYTES_MAX)
    try:
        answer = json.loads(body)
        return str(answer["access_token"]), float(answer["expires_on"])
    except (ValueError, KeyError, TypeError):
        raise StorageFailed(f"The managed identity gave no token for storage ({status}).") from None


def _default_credential(client_id: str | None) -> tuple[str, float]:
    from azure.core.exceptions import AzureError
    from azure.identity import DefaultAzureCredential

    try:
        with DefaultAzureCredential(managed_identity_client_id=client_id) as credential:
            token = credential.get_token(f"{RESOURCE}/.default")
    except AzureError as error:
        raise StorageFailed(f"Nobody is signed in for storage ({type(error).__name__}).") from error
    return token.token, float(token.expires_on)


def _signature(connection_string: str, url: SplitResult, now: float) -> str | None:
    """A query that opens the blob, None when it is not this account's."""
    parts = dict(part.partition("=")[::2] for part in connection_string.split(";") if part)
    name = parts.get("AccountName", "")
    endpoint = parts.get("BlobEndpoint") or f"https://{name}.blob.{parts.get('EndpointSuffix', 'core.windows.net')}"
    place = f"{url.scheme}://{url.netloc}{url.path}"
    if not place.startswith(endpoint.rstrip("/") + "/"):
        return None
    if "SharedAccessSignature" in parts:
        return parts["SharedAccessSignature"].lstrip("?")
    from datetime import datetime, timedelta

    from azure.storage.blob import BlobSasPermissions, generate_blob_sas

    container, _, blob = unquote(place[len(endpoint.rstrip("/")) + 1 :]).partition("/")
    return str(
        generate_blob_sas(
            name,
            container,
            blob,
            account_key=parts.get("AccountKey"),
            permission=BlobSasPermissions(read=True),
            expiry=datetime.fromtimestamp(now, UTC) + timedelta(minutes=10),
        )
    )
