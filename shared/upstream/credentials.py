"""What a request to Azure carries to prove who sends it: an API key, a fixed token, or an Entra token kept fresh."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from shared.errors import Unavailable, UpstreamMisconfigured
from shared.supervisor import Supervisor
from shared.upstream.answers import scrub

log = logging.getLogger("spillway")

REFRESH_AHEAD_S = 300.0
"""A token is replaced so long before it expires (half its life, when that is shorter), while it still serves."""
REFRESH_PAUSE_S = 10.0
"""After a refresh that failed the next one starts so much later, while the old token still serves."""
SIGN_IN_TIMEOUT_S = 30.0
EXPIRY_MARGIN_S = 10.0
"""A token with less life than this is not sent: it would expire on the way."""


class Credential(Protocol):
    """Gives the header that authenticates one request."""

    async def header(self) -> tuple[str, str]:
        """(name, value). Called once per attempt, concurrently. Raises UpstreamMisconfigured when signing in fails."""

    def refused(self, value: str) -> bool:
        """Told that Azure answered 401 to `value`. True when `header` will give another value: worth one more try."""


@dataclass(frozen=True, slots=True)
class FixedHeader:
    """An API key or a token that somebody else keeps fresh."""

    name: str
    value: str = field(repr=False)

    async def header(self) -> tuple[str, str]:
        return self.name, self.value

    def refused(self, value: str) -> bool:
        return False


def api_key(key: str, *, bearer: bool) -> FixedHeader:
    """`api-key: KEY`, or `Authorization: Bearer KEY` where OpenAI's own API is called."""
    return FixedHeader("authorization", f"Bearer {key}") if bearer else FixedHeader("api-key", key)


def static_token(token: str) -> FixedHeader:
    """`azure_ad_token`: sent as it is, never refreshed."""
    return FixedHeader("authorization", f"Bearer {token}")


@dataclass(frozen=True, slots=True)
class Token:
    """An Entra access token; `expires_at` is in Unix seconds."""

    value: str = field(repr=False)
    expires_at: float


SignIn = Callable[[], Awaitable[Token]]


class EntraToken:
    """A token from azure-identity, fetched by one task at a time and renewed ahead of its expiry.

    `sign_in` fetches a new token; `fresh_sign_in` does so past every cache that azure-identity keeps, after Azure
    has refused a token that should have been good. `clock` gives Unix seconds.
    """

    def __init__(
        self, sign_in: SignIn, fresh_sign_in: SignIn, supervisor: Supervisor, clock: Callable[[], float]
    ) -> None:
        self._sign_in = sign_in
        self._fresh_sign_in = fresh_sign_in
        self._supervisor = supervisor
        self._clock = clock
        self._token: Token | None = None
        self._renew_at = 0.0
        self._renewal: asyncio.Task[Token] | None = None
        self._distrusted = False

    async def header(self) -> tuple[str, str]:
        now = self._clock()
        token = self._token
        if token is None or token.expires_at - EXPIRY_MARGIN_S <= now:
            try:
                token = await asyncio.shield(self._renew())
            except Exception as error:
                raise UpstreamMisconfigured(
                    "The gateway could not sign in to Azure. Its log names the reason."
                ) from error
        elif now >= self._renew_at:
            with suppress(Unavailable):  # no task is free for it: the token still serves
                self._renew()
        return "authorization", f"Bearer {token.value}"

    def refused(self, value: str) -> bool:
        if self._token is not None and value == f"Bearer {self._token.value}":
            self._token = None
            self._distrusted = True
        return True

    def _renew(self) -> asyncio.Task[Token]:
        """The renewal under way, or a new one."""
        if self._renewal is None or self._renewal.done():
            self._renewal = self._supervisor.start(self._fetch(), "sign-in")
        return self._renewal

    async def _fetch(self) -> Token:
        sign_in = self._fresh_sign_in if self._distrusted else self._sign_in
        try:
            async with asyncio.timeout(SIGN_IN_TIMEOUT_S):
                token = await sign_in()
                if self._token is not None and token.value == self._token.value:
                    # azure-identity hides a renewal that failed, and gives out its cached token again.
                    token = await self._fresh_sign_in()
        except Exception as error:
            self._renew_at = self._clock() + REFRESH_PAUSE_S
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            log.error("signing in to Azure failed: %s: %s", type(error).__name__, scrub(reason))
            raise UpstreamMisconfigured("signing in to Azure failed") from error
        self._distrusted = False
        now = self._clock()
        self._renew_at = max(token.expires_at - REFRESH_AHEAD_S, now + (token.expires_at - now) / 2)
        self._token = token
        return token
