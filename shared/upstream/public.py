"""Connections to addresses that a caller chose: to the public internet only, checked when they are made.

A name is looked up and its addresses are checked in one step (shared.upstream.resolver), so that it cannot change in
between. What is refused: private, loopback, link-local, multicast and reserved addresses, also inside of IPv6 forms
that carry an IPv4 address, and 168.63.129.16, the public-looking address of Azure's own host agent.
"""

from __future__ import annotations

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_AZURE_HOST_AGENT = ipaddress.ip_address("168.63.129.16")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(OSError):
    """The name leads to an address that a caller may not choose."""


def is_public(address: str) -> bool:
    """Whether `address`, an IPv4 or IPv6 literal, is on the public internet. False for what is no literal."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    carried = _carried(parsed)
    return _public(parsed if carried is None else carried)


def is_literal(host: str) -> bool:
    """Whether `host` is an address itself, which is never looked up. `127.1`, `0x7f.1` and `2130706433` are, too: no
    name ends in a number (WHATWG URL, "ends in a number")."""
    if ":" in host:
        return True
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdigit() or last.startswith("0x")


def _public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and (address.sixtofour or address.teredo):
        return False  # tunnels, whose other end is anybody's guess
    unfit = address.is_multicast or address.is_reserved or address.is_unspecified or address == _AZURE_HOST_AGENT
    return address.is_global and not unfit


def _carried(address: IPAddress) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, or what DNS64 makes in a network of IPv6 alone."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address.ipv4_mapped
