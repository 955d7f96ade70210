"""The IPv4 addresses that an LNS gives to its callers."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from l2tp.protocol.errors import L2tpError


class PoolExhausted(L2tpError):
    """Every address of the pool is in use."""


class AddressPool:
    """Hands out the lowest free host address of a network, never one that is reserved.

    ``network`` is the pool, ``reserved`` addresses of it that nobody gets, such as our own side.
    ``taken`` are in use already, of this pool or not, and free again once released.
    """

    def __init__(
        self,
        network: IPv4Network,
        reserved: frozenset[IPv4Address],
        taken: frozenset[IPv4Address] = frozenset(),
    ) -> None:
        self._network = network
        self._reserved = reserved
        self._taken = {address for address in taken if address in network}

    def take(self) -> IPv4Address:
        """Return a free address and keep it taken; raises PoolExhausted."""
        for address in self._candidates():
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise PoolExhausted(
            f"the pool {self._network} has no free address: {len(self._taken)} are in use. "
            "Set a larger ppp.pool in the LNS's configuration"
        )

    def release(self, address: IPv4Address) -> None:
        """Give an address back; one that is not taken stays free."""
        self._taken.discard(address)

    def __len__(self) -> int:
        """Return how many addresses are taken."""
        return len(self._taken)

    def _candidates(self) -> Iterator[IPv4Address]:
        return (address for address in self._network.hosts() if address not in self._reserved)
