"""The configuration in a blob, over a socket: a server that is storage account and managed identity in one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from devtools.storage import connection_string
from shared.errors import ConfigError, StorageFailed
from shared.storage import document
from shared.storage.account import Account
from shared.storage.blobs import About, AzureBlobs
from shared.storage.document import Document

IDENTITY = Account(blob_url="https://st.blob.core.windows.net", client_id="the-apps")
BLOB = "/spillway-config/config.yaml"


@dataclass
class Server:
    """What the server answers, and what it was asked: path, query and headers in lower case."""

    url: str = ""
    text: bytes = b"model_list: []\n"
    etag: str = '"1"'
    status: int = 200
    asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)
    issued: int = 0
    lifetime_s: float = 3600
    refuses: int = 0

    def environ(self) -> dict[str, str]:
        return {"IDENTITY_ENDPOINT": f"{self.url}/msi/token", "IDENTITY_HEADER": "the-header"}

    def reads(self) -> list[dict[str, str]]:
        """The headers of every read of the blob."""
        return [headers for path, _, headers in self.asked if path == BLOB]

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if path == "/msi/token":
            if headers.get("x-identity-header") != "the-header":
                return 401, {}, b"{}"
            self.issued += 1
            answer = {"access_token": f"token-{self.issued}", "expires_on": str(int(self.lifetime_s))}
            return 200, {}, json.dumps(answer).encode()
        if self.refuses:
            self.refuses -= 1
            return 403, {"x-ms-error-code": "AuthorizationPermissionMismatch"}, b"<xml/>"
        if self.status != 200:
            return self.status, {"x-ms-error-code": "BlobNotFound"}, b"<xml/>"
        if headers.get("if-none-match") == self.etag:
            return 304, {"etag": self.etag}, b""
        return 200, {"etag": self.etag}, self.text


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.asked.append((url.path, parse_qs(url.query), headers))
            status, answered, body = told.answer(url.path, headers)
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    told.url = f"http://127.0.0.1:{listening.server_port}"
    yield told
    listening.shutdown()
    thread.join()
    listening.server_close()


class Clock:
    """A clock that sleeping sets forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def made(server: Server, clock: Clock | None = None, account: Account | None = IDENTITY, query: str = "") -> Document:
    clock = clock or Clock()
    return Document(f"{server.url}{BLOB}{query}", account, server.environ(), clock=clock, sleep=clock.sleep)


def test_it_is_read_with_the_apps_own_identity(server: Server) -> None:
    assert made(server).first() == "model_list: []\n"
    [token, read] = server.asked
    assert token[1] == {
        "api-version": ["2019-08-01"],
        "resource": ["https://storage.azure.com"],
        "client_id": ["the-apps"],
    }
    assert read[2]["authorization"] == "Bearer token-1"
    assert read[2]["x-ms-version"] == document.API_VERSION


def test_what_has_not_changed_is_not_sent_again(server: Server) -> None:
    one = made(server)
    one.first()
    assert (one.read(), one.read()) == (None, None)
    assert [headers.get("if-none-match") for headers in server.reads()] == [None, '"1"', '"1"']


def test_what_has_changed_is_read(server: Server) -> None:
    one = made(server)
    one.first()
    server.text, server.etag = "\ufeffmodel_list: [ä]".encode(), '"2"'
    assert one.read() == "model_list: [ä]"
    assert one.read() is None


def test_a_token_is_kept_until_it_is_nearly_over(server: Server) -> None:
    clock = Clock()
    one = made(server, clock)
    one.first()
    clock.now = server.lifetime_s - document.TOKEN_LEFT_S - 1
    one.read()
    assert server.issued == 1
    clock.now += 2
    one.read()
    assert server.issued == 2


def test_a_role_that_is_not_known_yet_is_waited_for(server: Server) -> None:
    server.refuses = 3
    clock = Clock()
    assert made(server, clock).first() == "model_list: []\n"
    assert clock.now == 3 * document.PAUSE_S


def test_the_start_waits_so_long_and_no_longer(server: Server) -> None:
    server.refuses = 10_000
    clock = Clock()
    with pytest.raises(ConfigError, match="403 AuthorizationPermissionMismatch"):
        made(server, clock).first()
    assert clock.now <= document.START_S


def test_a_blob_that_is_not_there_stops_the_start_at_once(server: Server) -> None:
    server.status = 404
    clock = Clock()
    with pytest.raises(ConfigError, match=r"there is no http://127\.0"):
        made(server, clock).first()
    assert clock.now == 0


def test_a_blob_that_is_gone_is_a_failure_like_others(server: Server) -> None:
    one = made(server)
    one.first()
    server.status = 404
    with pytest.raises(StorageFailed, match="404 BlobNotFound"):
        one.read()
    server.status = 200
    assert one.read() is None


def test_what_is_no_text_is_refused_and_not_read_again(server: Server) -> None:
    server.text = b"\xff\xfe"
    one = made(server)
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 0"):
        one.first()
    assert one.read() is None


def test_what_is_too_large_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "BYTES_MAX", 5)
    with pytest.raises(ConfigError, match="has more than 5 bytes"):
        made(server).first()


def test_a_url_with_a_signature_opens_itself_and_is_not_shown_with_it(server: Server) -> None:
    one = made(server, query="?sv=2024&sig=secret")
    one.first()
    [(_, query, headers)] = server.asked
    assert query == {"sv": ["2024"], "sig": ["secret"]}
    assert "authorization" not in headers
    assert one.name == f"{server.url}{BLOB}"


def test_an_identity_that_gives_no_token_is_a_failure(server: Server) -> None:
    environ = {**server.environ(), "IDENTITY_HEADER": "another"}
    with pytest.raises(StorageFailed, match="no token for storage"):
        Document(f"{server.url}{BLOB}", IDENTITY, environ).read()


def test_a_server_that_is_not_there_is_a_failure() -> None:
    environ = {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi", "IDENTITY_HEADER": "h"}
    with pytest.raises(StorageFailed, match="does not answer"):
        Document("https://127.0.0.1:1/c/b", IDENTITY, environ).read()


@pytest.mark.parametrize(
    "url",
    ["ftp://st/c/b", "http://st.blob.core.windows.net/c/b", "https:///c/b", "https://st/b", "https://u:p@st/c/b"],
)
def test_a_url_that_leads_to_no_blob_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Document(url, None, {})
    assert "st/c" not in str(refused.value)


async def test_the_connection_string_of_the_app_opens_its_own_blob(azurite: str) -> None:
    account = Account.read({"AzureWebJobsStorage": azurite})
    assert account is not None
    blobs = AzureBlobs(account, "spillway-config")
    await blobs.put("config.yaml", b"a: 1", About("application/yaml", {}))
    endpoint = dict(part.partition("=")[::2] for part in azurite.split(";"))["BlobEndpoint"]
    one = Document(f"{endpoint}/spillway-config/config.yaml", account, {})
    assert one.first() == "a: 1"
    assert one.read() is None
    await blobs.put("config.yaml", b"a: 2", About("application/yaml", {}))
    assert one.read() == "a: 2"
    await blobs.close()


def test_another_accounts_blob_is_not_opened_with_it(server: Server) -> None:
    account = Account(connection_string=connection_string())
    made(server, account=account).first()
    assert server.reads()[0]["authorization"] == "Bearer token-1"
