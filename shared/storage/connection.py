"""The client of one container or table: loaded once, beside the event loop, and created where it does not exist."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, TypeVar
from urllib.request import getproxies

from shared.errors import StorageFailed
from shared.storage.account import Account

T = TypeVar("T")

CONNECT_S = 5.0
READ_S = 20.0
RETRIES = 2


class Connection(ABC):
    """What blobs and tables have in common. Belongs to the running event loop.

    A subclass gives the client (`_load`, called in a thread of its own) and creates what is missing (`_create`).
    """

    operation_s: ClassVar[float]
    """One operation with the library's own retries, in seconds."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._loading: asyncio.Future[Any] | None = None

    async def close(self) -> None:
        if self._loading is not None:
            await asyncio.wait({self._loading})
        closers, self._closers, self._loading = self._closers, [], None
        for close in closers:
            await close()

    @abstractmethod
    def _load(self) -> Any:
        """The client. Azure's libraries take a while to load, so this runs beside the event loop."""

    @abstractmethod
    async def _create(self, client: Any) -> None:
        """Creates the container or table."""

    def _service(self, kind: Any, url: str | None, options: Mapping[str, Any]) -> Any:
        """A client of the account's service: by its connection string, else signed in with an identity."""
        logging.getLogger("azure").setLevel(logging.WARNING)  # at INFO it writes every header of every request
        options = {**options, "use_env_settings": has_proxy()}
        if self._account.connection_string is not None:
            service = kind.from_connection_string(self._account.connection_string, **options)
        else:
            from azure.identity.aio import DefaultAzureCredential

            credential = DefaultAzureCredential(managed_identity_client_id=self._account.client_id)
            self._closers.append(credential.close)
            service = kind(str(url), credential=credential, **options)
        self._closers.insert(0, service.close)
        return service

    async def _do(self, work: Callable[[Any], Awaitable[T]], **missing: Any) -> Any:
        """What `work` gives, once more after a creation. `missing`: what it is where nothing is.

        Raises StorageFailed.
        """
        from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

        try:
            async with asyncio.timeout(self.operation_s):
                client = await self._connected()
                try:
                    return await work(client)
                except ResourceNotFoundError:
                    if missing:
                        return missing["missing"]
                with suppress(ResourceExistsError):  # another call, or another instance, was faster
                    await self._create(client)
                return await work(client)
        except (AzureError, OSError, TimeoutError, ValueError) as error:
            raise StorageFailed(
                f"The storage account does not answer as it should ({type(error).__name__})."
            ) from error

    async def _connected(self) -> Any:
        """The client, loaded once, whoever stops waiting for it."""
        if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        return await asyncio.shield(self._loading)


def has_proxy() -> bool:
    """Whether the environment names a proxy. Where it does not, aiohttp need not look for one, and for a .netrc file,
    with every request: that takes two threads and 40 % of the processor time of a small write."""
    return not getproxies().keys().isdisjoint(("http", "https", "all"))
