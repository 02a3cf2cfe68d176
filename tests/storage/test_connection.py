"""How a client of the storage account is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from shared.storage.account import SETTING, Account
from shared.storage.connection import Connection


class Service:
    """What stands in the place of Azure's client."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    @classmethod
    def from_connection_string(cls, written: str, **options: Any) -> Service:
        return cls(options)

    async def close(self) -> None:
        return None


class Anything(Connection):
    operation_s = 1.0

    def _load(self) -> Service:
        service: Service = self._service(Service, None, {"retry_total": 2})
        return service

    async def _create(self, client: Any) -> None:
        return None


@pytest.mark.parametrize(
    ("name", "looked_for"), [("HTTPS_PROXY", True), ("all_proxy", True), ("NO_PROXY", False), ("OTHER", False)]
)
async def test_the_environments_proxy_is_looked_for_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, name: str, looked_for: bool
) -> None:
    for known in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(known, raising=False)
        monkeypatch.delenv(known.upper(), raising=False)
    monkeypatch.setenv(name, "http://proxy.example:3128")
    account = Account.read({SETTING: "UseDevelopmentStorage=true"})
    assert account is not None
    connection = Anything(account)
    service = await connection._connected()
    await connection.close()
    assert service.options == {"retry_total": 2, "use_env_settings": looked_for}
