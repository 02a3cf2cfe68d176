from __future__ import annotations

import asyncio
import importlib
import threading
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from shared.config import Credentials
from shared.errors import UpstreamMisconfigured
from shared.supervisor import Supervisor
from shared.upstream.signin import Identity, SignIns, _make

SCOPE = "https://cognitiveservices.azure.com/.default"
ASYNC_CLASSES = [
    "ClientSecretCredential",
    "WorkloadIdentityCredential",
    "CertificateCredential",
    "ManagedIdentityCredential",
    "EnvironmentCredential",
    "AzureCliCredential",
    "DefaultAzureCredential",
]


class FakeAzureIdentity:
    """Stands in for azure.identity.aio and azure.identity: remembers what was made, asked and closed."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.asked: list[str] = []
        self.closed = 0
        self.threads: set[int] = set()

    def module(self, *, blocking: bool) -> SimpleNamespace:
        names = ASYNC_CLASSES
        if blocking:
            names = ["UsernamePasswordCredential"]
        return SimpleNamespace(**{name: self._maker(name, blocking) for name in names})

    def _maker(self, name: str, blocking: bool) -> Any:
        def make(*args: Any, **kwargs: Any) -> Any:
            self.made.append((name, args, kwargs))
            token = SimpleNamespace(token=f"token-{len(self.made)}", expires_on=123)

            def get_token(scope: str) -> Any:
                self.asked.append(scope)
                self.threads.add(threading.get_ident())
                return token

            def close() -> None:
                self.closed += 1

            async def get_token_later(scope: str) -> Any:
                return get_token(scope)

            async def close_later() -> None:
                close()

            if blocking:
                return SimpleNamespace(get_token=get_token, close=close)
            return SimpleNamespace(get_token=get_token_later, close=close_later)

        return make


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> FakeAzureIdentity:
    fake = FakeAzureIdentity()
    modules = {"azure.identity.aio": fake.module(blocking=False), "azure.identity": fake.module(blocking=True)}
    monkeypatch.setattr(importlib, "import_module", lambda name: modules[name])
    return fake


CLIENT_SECRET = Credentials("client_secret", tenant_id="t", client_id="c", client_secret=SecretStr("s"))
USERNAME = Credentials("username_password", client_id="c", username="u", password=SecretStr("p"))

MAKERS: list[tuple[Credentials, tuple[str, tuple[Any, ...], dict[str, Any]]]] = [
    (CLIENT_SECRET, ("ClientSecretCredential", ("t", "c", "s"), {})),
    (Credentials("managed_identity"), ("ManagedIdentityCredential", (), {"client_id": None})),
    (Credentials("managed_identity", client_id="c"), ("ManagedIdentityCredential", (), {"client_id": "c"})),
    (
        Credentials("workload_identity", tenant_id="t", client_id="c", file="/f"),
        ("WorkloadIdentityCredential", (), {"tenant_id": "t", "client_id": "c", "token_file_path": "/f"}),
    ),
    (
        Credentials("certificate", tenant_id="t", client_id="c", file="/c.pem", password=SecretStr("p")),
        ("CertificateCredential", ("t", "c", "/c.pem"), {"password": "p"}),
    ),
    (
        Credentials("certificate", tenant_id="t", client_id="c", file="/c.pem"),
        ("CertificateCredential", ("t", "c", "/c.pem"), {"password": None}),
    ),
    (Credentials("environment"), ("EnvironmentCredential", (), {})),
    (Credentials("azure_cli"), ("AzureCliCredential", (), {})),
    (Credentials("default"), ("DefaultAzureCredential", (), {})),
    (Credentials("default", client_id="c"), ("DefaultAzureCredential", (), {"managed_identity_client_id": "c"})),
    (
        USERNAME,
        (
            "UsernamePasswordCredential",
            (),
            {"client_id": "c", "username": "u", "password": "p", "tenant_id": "organizations"},
        ),
    ),
]


@pytest.mark.parametrize(("credentials", "made"), MAKERS)
async def test_each_kind_of_credentials_becomes_azure_identitys_own(
    azure: FakeAzureIdentity, credentials: Credentials, made: tuple[str, tuple[Any, ...], dict[str, Any]]
) -> None:
    await Identity(credentials, SCOPE).token()
    assert azure.made == [made]


@pytest.mark.parametrize("credentials", [CLIENT_SECRET, USERNAME])
async def test_a_token_is_asked_for_the_scope(azure: FakeAzureIdentity, credentials: Credentials) -> None:
    token = await Identity(credentials, SCOPE).token()
    assert (azure.asked, token.value, token.expires_at) == ([SCOPE], "token-1", 123.0)


async def test_a_credential_without_an_async_form_does_not_block_the_loop(azure: FakeAzureIdentity) -> None:
    await Identity(USERNAME, SCOPE).token()
    assert threading.get_ident() not in azure.threads


async def test_a_fresh_token_comes_from_a_new_credential(azure: FakeAzureIdentity) -> None:
    identity = Identity(CLIENT_SECRET, SCOPE)
    await identity.token()
    assert ((await identity.fresh_token()).value, azure.closed) == ("token-2", 1)


@pytest.mark.parametrize("credentials", [CLIENT_SECRET, USERNAME])
async def test_what_was_made_is_closed_once(azure: FakeAzureIdentity, credentials: Credentials) -> None:
    identity = Identity(credentials, SCOPE)
    await identity.token()
    await identity.close()
    await identity.close()
    assert azure.closed == 1


async def test_entries_with_equal_credentials_sign_in_once(azure: FakeAzureIdentity) -> None:
    sign_ins = SignIns(Supervisor(), lambda: 0.0)
    same = [Credentials("client_secret", tenant_id="t", client_id="c", client_secret=SecretStr("s")) for _ in range(3)]
    held = [sign_ins.credential(one, SCOPE, bearer=False) for one in same]
    await asyncio.gather(*(one.header() for one in held))
    assert len(azure.asked) == 1


async def test_another_scope_needs_another_token(azure: FakeAzureIdentity) -> None:
    sign_ins = SignIns(Supervisor(), lambda: 0.0)
    for scope in (SCOPE, "https://ai.azure.com/.default"):
        await sign_ins.credential(CLIENT_SECRET, scope, bearer=False).header()
    assert azure.asked == [SCOPE, "https://ai.azure.com/.default"]


async def test_closing_closes_every_credential_that_was_made(azure: FakeAzureIdentity) -> None:
    sign_ins = SignIns(Supervisor(), lambda: 0.0)
    await sign_ins.credential(CLIENT_SECRET, SCOPE, bearer=False).header()
    sign_ins.credential(Credentials("default"), SCOPE, bearer=False)
    await sign_ins.close()
    assert azure.closed == 1


@pytest.mark.parametrize(
    ("credentials", "bearer", "header"),
    [
        (Credentials("api_key", api_key=SecretStr("k")), False, ("api-key", "k")),
        (Credentials("api_key", api_key=SecretStr("k")), True, ("authorization", "Bearer k")),
        (Credentials("token", token=SecretStr("t")), False, ("authorization", "Bearer t")),
    ],
)
async def test_a_key_or_a_token_needs_no_sign_in(
    azure: FakeAzureIdentity, credentials: Credentials, bearer: bool, header: tuple[str, str]
) -> None:
    sign_ins = SignIns(Supervisor(), lambda: 0.0)
    assert await sign_ins.credential(credentials, SCOPE, bearer=bearer).header() == header
    assert azure.made == []


async def test_the_real_library_has_what_is_made() -> None:
    aio, blocking = importlib.import_module("azure.identity.aio"), importlib.import_module("azure.identity")
    assert all(hasattr(aio, name) for name in ASYNC_CLASSES)
    assert hasattr(blocking, "UsernamePasswordCredential")


def certificate(folder: Path, password: bytes | None) -> str:
    """A self-signed certificate with its key, as one PEM file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spillway")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
    path = folder / "certificate.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return str(path)


@pytest.mark.parametrize("password", [None, b"hunter2"])
async def test_the_real_library_takes_what_it_is_given(tmp_path: Path, password: bytes | None) -> None:
    token = tmp_path / "token"
    token.write_text("federated")
    given = [
        CLIENT_SECRET,
        Credentials("workload_identity", tenant_id="t", client_id="c", file=str(token)),
        Credentials(
            "certificate",
            tenant_id="t",
            client_id="c",
            file=certificate(tmp_path, password),
            password=SecretStr(password.decode()) if password else None,
        ),
        Credentials("managed_identity", client_id="c"),
        Credentials("environment"),
        Credentials("azure_cli"),
        Credentials("default"),
    ]
    for one in given:
        made = await asyncio.to_thread(_make, one)
        assert hasattr(made, "get_token")
        await made.close()


async def test_the_real_libraries_warning_about_passwords_is_hidden_while_one_is_made() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        made = await asyncio.to_thread(_make, USERNAME)
        made.close()
    assert [one for one in seen if "UsernamePassword" in str(one.message)] == []


async def test_a_certificate_that_is_not_there_is_an_error_of_the_gateways_own(tmp_path: Path) -> None:
    missing = Credentials("certificate", tenant_id="t", client_id="c", file=str(tmp_path / "none.pem"))
    sign_ins = SignIns(Supervisor(), lambda: 0.0)
    with pytest.raises(UpstreamMisconfigured):
        await sign_ins.credential(missing, SCOPE, bearer=False).header()
