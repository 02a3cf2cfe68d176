"""The look-up of names that a caller chose: no connection is made to an address that is not public."""

from __future__ import annotations

import socket
from collections.abc import Callable

import aiohttp
import aiohttp.abc

from shared.upstream.public import AddressRefused, is_public


class PublicResolver(aiohttp.abc.AbstractResolver):
    """Looks names up with `inner` and refuses a name when any of its addresses is not `allowed`."""

    def __init__(self, inner: aiohttp.abc.AbstractResolver, allowed: Callable[[str], bool] = is_public) -> None:
        self._inner = inner
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """The addresses of `host`. Raises AddressRefused, or OSError when there are none."""
        found = await self._inner.resolve(host, port, family)
        if not all(self._allowed(one["host"]) for one in found):
            raise AddressRefused("the name leads to an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()
