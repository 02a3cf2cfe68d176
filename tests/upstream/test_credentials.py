from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.errors import Unavailable, UpstreamMisconfigured
from shared.supervisor import Supervisor
from shared.upstream import credentials
from shared.upstream.credentials import EntraToken, Token, api_key, static_token

HOUR = 3600.0


class SignIns:
    """Plays Entra ID: token-1, token-2 and so on, each good for an hour, or whatever it is told to do."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.count = 0
        self.fresh_count = 0
        self.life_s = HOUR
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.supervisor = Supervisor()
        self.credential = EntraToken(self.sign_in, self.fresh_sign_in, self.supervisor, lambda: self.now)

    async def sign_in(self) -> Token:
        self.count += 1
        number = self.count
        if self.gate is not None:
            await self.gate.wait()
        else:
            await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return Token(f"token-{number}", self.now + self.life_s)

    async def fresh_sign_in(self) -> Token:
        self.fresh_count += 1
        await asyncio.sleep(0)
        return Token(f"fresh-{self.fresh_count}", self.now + self.life_s)

    async def value(self) -> str:
        name, value = await self.credential.header()
        assert name == "authorization"
        return value.removeprefix("Bearer ")

    async def settled(self) -> None:
        """Waits for a renewal in the background."""
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(self.supervisor) == 0


@pytest.fixture
def entra() -> SignIns:
    return SignIns()


async def test_a_hundred_callers_sign_in_once(entra: SignIns) -> None:
    values = await asyncio.gather(*(entra.value() for _ in range(100)))
    assert (set(values), entra.count) == ({"token-1"}, 1)


async def test_a_good_token_is_used_again(entra: SignIns) -> None:
    await entra.value()
    entra.now += HOUR - credentials.REFRESH_AHEAD_S - 1
    assert (await entra.value(), entra.count) == ("token-1", 1)


async def test_a_good_token_serves_on_when_no_task_is_free_to_renew_it(entra: SignIns) -> None:
    await entra.value()
    entra.now += HOUR - 60
    full = Supervisor(tasks_max=0)
    with pytest.raises(Unavailable):
        full.start(asyncio.sleep(0), "anything")
    entra.credential._supervisor = full
    assert await entra.value() == "token-1"


async def test_a_token_is_renewed_ahead_while_the_old_one_serves(entra: SignIns) -> None:
    await entra.value()
    entra.now += HOUR - credentials.REFRESH_AHEAD_S
    assert await entra.value() == "token-1"
    await entra.settled()
    assert (await entra.value(), entra.count) == ("token-2", 2)


async def test_only_one_renewal_is_under_way(entra: SignIns) -> None:
    await entra.value()
    entra.now += HOUR - credentials.REFRESH_AHEAD_S
    entra.gate = asyncio.Event()
    assert {await entra.value() for _ in range(10)} == {"token-1"}
    await asyncio.sleep(0)
    entra.gate.set()
    await entra.settled()
    assert entra.count == 2


async def test_a_token_of_short_life_is_renewed_at_half_of_it(entra: SignIns) -> None:
    entra.life_s = 200.0
    await entra.value()
    entra.now += 99
    await entra.value()
    early = entra.count
    entra.now += 1
    await entra.value()
    await entra.settled()
    assert (early, entra.count) == (1, 2)


async def test_a_failed_renewal_keeps_the_old_token(entra: SignIns) -> None:
    await entra.value()
    entra.now += HOUR - credentials.REFRESH_AHEAD_S
    entra.failure = OSError("no route")
    await entra.value()
    await entra.settled()
    assert await entra.value() == "token-1"


async def test_a_failed_renewal_pauses_the_next_one(entra: SignIns) -> None:
    await entra.value()
    entra.now += HOUR - credentials.REFRESH_AHEAD_S
    entra.failure = OSError("no route")
    await entra.value()
    await entra.settled()
    entra.now += credentials.REFRESH_PAUSE_S - 1
    await entra.value()
    await entra.settled()
    during_the_pause = entra.count
    entra.now += 1
    await entra.value()
    await entra.settled()
    assert (during_the_pause, entra.count) == (2, 3)


async def test_an_expired_token_is_not_sent(entra: SignIns) -> None:
    await entra.value()
    entra.now += HOUR - credentials.EXPIRY_MARGIN_S
    assert await entra.value() == "token-2"


async def test_an_expired_token_that_cannot_be_replaced_is_the_operators_affair(entra: SignIns) -> None:
    await entra.value()
    entra.now += HOUR
    entra.failure = OSError("no route")
    with pytest.raises(UpstreamMisconfigured):
        await entra.value()


async def test_signing_in_works_again_after_it_failed(entra: SignIns) -> None:
    entra.failure = OSError("no route")
    with pytest.raises(UpstreamMisconfigured):
        await entra.value()
    entra.failure = None
    assert await entra.value() == "token-2"


async def test_why_signing_in_failed_is_for_the_log_alone(entra: SignIns, caplog: pytest.LogCaptureFixture) -> None:
    entra.failure = OSError("tenant 123 is unknown")
    with pytest.raises(UpstreamMisconfigured) as caught:
        await entra.value()
    assert "signing in to Azure failed: OSError: tenant 123 is unknown" in caplog.text
    assert "tenant" not in caught.value.message


async def test_a_sign_in_that_hangs_is_bounded(entra: SignIns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "SIGN_IN_TIMEOUT_S", 0.02)
    entra.gate = asyncio.Event()
    with pytest.raises(UpstreamMisconfigured):
        await entra.value()


async def test_a_caller_who_leaves_does_not_end_the_sign_in_of_the_others(entra: SignIns) -> None:
    entra.gate = asyncio.Event()
    leaver, stayer = asyncio.create_task(entra.value()), asyncio.create_task(entra.value())
    await asyncio.sleep(0.01)
    leaver.cancel()
    entra.gate.set()
    assert await stayer == "token-1"


async def test_a_refused_token_is_replaced_past_every_cache(entra: SignIns) -> None:
    await entra.value()
    assert entra.credential.refused("Bearer token-1")
    assert (await entra.value(), entra.count) == ("fresh-1", 1)


async def test_many_refusals_of_one_token_sign_in_once(entra: SignIns) -> None:
    await entra.value()
    for _ in range(10):
        entra.credential.refused("Bearer token-1")
    values = await asyncio.gather(*(entra.value() for _ in range(10)))
    assert (set(values), entra.fresh_count) == ({"fresh-1"}, 1)


async def test_a_late_refusal_of_an_older_token_keeps_the_newer_one(entra: SignIns) -> None:
    await entra.value()
    entra.credential.refused("Bearer token-1")
    await entra.value()
    assert entra.credential.refused("Bearer token-1")
    assert (await entra.value(), entra.fresh_count) == ("fresh-1", 1)


async def test_after_a_fresh_sign_in_the_usual_one_is_trusted_again(entra: SignIns) -> None:
    await entra.value()
    entra.credential.refused("Bearer token-1")
    await entra.value()
    entra.now += HOUR
    assert await entra.value() == "token-2"


async def test_an_api_key_has_its_own_header_on_azure() -> None:
    assert await api_key("k", bearer=False).header() == ("api-key", "k")


async def test_an_api_key_is_a_bearer_token_at_openai() -> None:
    assert await api_key("k", bearer=True).header() == ("authorization", "Bearer k")


async def test_a_fixed_token_is_a_bearer_token() -> None:
    assert await static_token("t").header() == ("authorization", "Bearer t")


@pytest.mark.parametrize("fixed", [api_key("k", bearer=False), static_token("t")])
async def test_a_fixed_header_is_not_worth_a_second_try(fixed: credentials.FixedHeader) -> None:
    assert not fixed.refused((await fixed.header())[1])


@pytest.mark.parametrize(
    "holder",
    [
        lambda secret: api_key(secret, bearer=False),
        lambda secret: api_key(secret, bearer=True),
        static_token,
        lambda secret: Token(secret, 0.0),
    ],
)
def test_no_repr_shows_a_secret(holder: Callable[[str], object]) -> None:
    assert "hush" not in repr(holder("hush"))


async def test_the_repr_of_a_living_token_shows_none(entra: SignIns) -> None:
    value: Awaitable[str] = entra.value()
    assert await value not in repr(entra.credential)


async def test_a_renewal_that_gives_the_same_token_again_goes_past_the_librarys_cache(entra: SignIns) -> None:
    await entra.value()
    entra.count -= 1  # the next sign-in gives token-1 again, as azure-identity does when a renewal fails
    entra.now += HOUR - credentials.REFRESH_AHEAD_S
    assert await entra.value() == "token-1"
    await entra.settled()
    assert (await entra.value(), entra.fresh_count) == ("fresh-1", 1)
