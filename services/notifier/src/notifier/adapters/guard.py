"""Addresses a webhook may not reach: whatever name or notation leads there."""

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

# `is_global` says yes to some of these: translated, tunnelled and special-purpose ranges.
_DENIED = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",
            "192.88.99.0/24",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "100::/64",
            "2001::/32",
            "2002::/16",
            "fec0::/10",
            "::/96",
        ),
    )
)


class ForbiddenAddress(OSError):
    """A name leads to an address that is not on the public internet."""


def is_public(text: str) -> bool:
    """Tell whether an address literal belongs to the public internet."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return is_public(str(address.ipv4_mapped))
    if address.is_multicast or not address.is_global:
        return False
    return not any(address.version == net.version and address in net for net in _DENIED)


def is_literal(host: str) -> bool:
    """Tell whether a host is an address already, for which nothing is resolved."""
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


class GuardedResolver(AbstractResolver):
    """Resolves once and hands out only public addresses; the connection goes to exactly those.

    Raises ForbiddenAddress when any of a name's addresses is not public, so that a mixed answer cannot win.
    """

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See the class."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(entry["host"]) for entry in found):
            raise ForbiddenAddress(f"{host} leads to an address that is not public")
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()
