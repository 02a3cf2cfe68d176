from __future__ import annotations

import pytest

from shared.callers.caller import ANONYMOUS, MASTER, Callers
from shared.errors import Unauthorized

KEY = "sk-master"
OPEN = Callers(KEY, allow_anonymous=True)
CLOSED = Callers(KEY, allow_anonymous=False)
KEYLESS = Callers(None, allow_anonymous=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"authorization": f"BEARER   {KEY} "},
        {"api-key": KEY},
        {"api-key": f" {KEY} "},
        {"authorization": f"Bearer {KEY}", "api-key": KEY},
        {"authorization": f"Bearer {KEY}", "api-key": f" {KEY}"},
    ],
)
@pytest.mark.parametrize("callers", [OPEN, CLOSED])
async def test_the_master_key_is_known_in_either_header(callers: Callers, headers: dict[str, str]) -> None:
    assert await callers.identify(headers) is MASTER


@pytest.mark.parametrize(
    "key", ["sk-mastef", "sk-maste", "sk-masterr", "SK-MASTER", "x", "sk-mäster", "sk-master\x00", "x" * 100_000]
)
@pytest.mark.parametrize("callers", [OPEN, CLOSED])
async def test_any_other_key_is_refused(callers: Callers, key: str) -> None:
    with pytest.raises(Unauthorized, match=r"Incorrect API key provided\."):
        await callers.identify({"api-key": key})


@pytest.mark.parametrize("headers", [{}, {"api-key": ""}, {"api-key": "  "}, {"x-api-key": KEY}])
async def test_no_key_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized, match="You didn't provide an API key"):
        await CLOSED.identify(headers)


@pytest.mark.parametrize("written", ["", " ", "Bearer", "Bearer ", f"Basic {KEY}", KEY, f"Bearer{KEY}"])
@pytest.mark.parametrize("callers", [OPEN, CLOSED, KEYLESS])
async def test_an_authorization_that_is_no_bearer_key_is_refused(callers: Callers, written: str) -> None:
    with pytest.raises(Unauthorized, match="must be `Bearer YOUR_KEY`"):
        await callers.identify({"authorization": written})


@pytest.mark.parametrize("callers", [OPEN, CLOSED, KEYLESS])
@pytest.mark.parametrize("pair", [(KEY, "other"), ("other", KEY), ("one", "two")])
async def test_two_different_keys_are_refused(callers: Callers, pair: tuple[str, str]) -> None:
    with pytest.raises(Unauthorized, match="two different keys"):
        await callers.identify({"authorization": f"Bearer {pair[0]}", "api-key": pair[1]})


async def test_without_a_key_an_open_gateway_serves_anybody() -> None:
    assert await OPEN.identify({}) is ANONYMOUS


@pytest.mark.parametrize("headers", [{}, {"api-key": "whatever"}, {"authorization": "Bearer whatever"}])
async def test_without_a_master_key_any_key_is_anonymous(headers: dict[str, str]) -> None:
    assert await KEYLESS.identify(headers) is ANONYMOUS


async def test_nobody_is_let_in_where_there_is_no_key_to_know() -> None:
    with pytest.raises(Unauthorized):
        await Callers(None, allow_anonymous=False).identify({"api-key": "None"})


async def test_a_refusal_does_not_repeat_the_key() -> None:
    with pytest.raises(Unauthorized) as caught:
        await CLOSED.identify({"api-key": "sk-typo"})
    assert "sk-typo" not in caught.value.message


async def test_the_repr_does_not_show_the_master_key() -> None:
    assert KEY not in repr(CLOSED)


async def test_a_callers_name_in_records_is_not_its_key() -> None:
    assert (MASTER.key_id, MASTER.is_master, ANONYMOUS.key_id, ANONYMOUS.is_master) == (
        "master",
        True,
        "anonymous",
        False,
    )
