from __future__ import annotations

import socket

import aiohttp
import aiohttp.abc
import pytest
from yarl import URL

from shared.errors import BadRequest, UpstreamUnreachable
from shared.upstream import transport
from shared.upstream.public import AddressRefused, is_literal, is_public
from shared.upstream.resolver import PublicResolver
from shared.upstream.wire import Request

PUBLIC = ["8.8.8.8", "20.42.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
REFUSED = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.129.4",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:168.63.129.16",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2002:a9fe:a9fe::1",
    "2001:db8::1",
    "localhost",
    "127.1",
    "2130706433",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", REFUSED)
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(address)


LITERALS = ["1.2.3.4", "1.2.3.4.", "[::1]", "::1", "127.1", "2130706433", "0x7f000001", "0X7f.1", "a.0x1"]
NAMES = ["a.b", "1.example", "x0", "4.openai.azure.com."]


@pytest.mark.parametrize(("host", "literal"), [*((one, True) for one in LITERALS), *((one, False) for one in NAMES)])
def test_a_literal_is_told_from_a_name(host: str, literal: bool) -> None:
    assert is_literal(host) is literal


class Names(aiohttp.abc.AbstractResolver):
    """A resolver that knows what it was told."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        self.asked.append(host)
        return [
            aiohttp.abc.ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in self.addresses
        ]

    async def close(self) -> None:
        self.closed = True


async def test_a_name_with_public_addresses_is_given_them() -> None:
    found = await PublicResolver(Names("8.8.8.8", "8.8.4.4")).resolve("a.example", 443)
    assert [one["host"] for one in found] == ["8.8.8.8", "8.8.4.4"]


@pytest.mark.parametrize("addresses", [["169.254.169.254"], ["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "::1"]])
async def test_a_name_with_any_other_address_is_refused(addresses: list[str]) -> None:
    with pytest.raises(AddressRefused):
        await PublicResolver(Names(*addresses)).resolve("a.example", 443)


async def test_closing_closes_what_looks_names_up() -> None:
    names = Names()
    await PublicResolver(names).close()
    assert names.closed


async def test_a_name_that_leads_to_this_machine_is_a_400_when_the_connection_is_made() -> None:
    request = Request("POST", URL("https://localhost:1/openai/v1/chat/completions"), {}, b"{}")
    public = transport.create_transport(1, public_only=True)
    with pytest.raises(BadRequest) as caught:
        await transport.send(public, request, connect_s=2.0, first_byte_s=2.0)
    await public.close()
    assert (caught.value.param, caught.value.code) == ("api_base", "invalid_value")
    assert "localhost" not in caught.value.message


async def test_other_calls_may_reach_this_machine() -> None:
    request = Request("POST", URL("http://localhost:1/"), {}, b"{}")
    ordinary = transport.create_transport(1)
    with pytest.raises(UpstreamUnreachable):
        await transport.send(ordinary, request, connect_s=2.0, first_byte_s=2.0)
    await ordinary.close()
