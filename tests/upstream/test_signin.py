from __future__ import annotations

import asyncio
import importlib
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from shared.config import Credentials
from shared.supervisor import Supervisor
from shared.upstream.signin import Identity, SignIns

SCOPE = "https://cognitiveservices.azure.com/.default"


class FakeAzureIdentity:
    """Stands in for azure.identity.aio and azure.identity: remembers what was made, asked and closed."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.asked: list[str] = []
        self.closed = 0
        self.threads: set[int] = set()

    def module(self, *, blocking: bool) -> SimpleNamespace:
        names = ["ClientSecretCredential", "ManagedIdentityCredential", "DefaultAzureCredential"]
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
    assert all(
        hasattr(aio, name) for name in ("ClientSecretCredential", "ManagedIdentityCredential", "DefaultAzureCredential")
    )
    assert hasattr(blocking, "UsernamePasswordCredential")
