"""What one peer, and all of them together, may use of an endpoint; and the counting of it.

A request that is over a limit of half-open tunnels, or a message over the rate, is dropped without
a trace but its count: a flood must cost less than it costs its sender. Peers are told apart by host
alone, for a port is free to choose; of IPv6, by the network of 64 bits that one host has to itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final, NamedTuple

from l2tp.protocol.constants import MAXIMUM_ID
from l2tp.protocol.events import DropReason

# Besides the tunnels that may live, room for as many that were refused or closed: they only
# acknowledge until their retention is over (RFC 2661 §5.7).
_ROOM_FOR_CLOSED: Final = 2
# Senders whose rate is remembered. More of them at once is a flood from invented addresses, which
# the limits of half-open tunnels meet.
_REMEMBERED_SENDERS: Final = 4096
_BURST_S: Final = 2.0
_NETWORK_BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is allowed; 0 is no limit.

    A half-open tunnel is one that a peer asked for and has not completed. `messages_per_s_per_peer`
    counts the control messages of an established tunnel apart from what else comes from its host,
    so that nobody who forges its address can use up its share. `maximum_waiting_messages` may wait
    for the peer of one tunnel, beside two for each of its sessions: those of sessions that ended.
    """

    maximum_tunnels_per_peer: int = 256
    maximum_half_open_tunnels: int = 128
    maximum_half_open_tunnels_per_peer: int = 16
    maximum_sessions_per_peer: int = MAXIMUM_ID
    messages_per_s_per_peer: int = 0
    maximum_waiting_messages: int = 32_768


class Refusal(NamedTuple):
    """Why a request is dropped."""

    reason: DropReason
    cause: str


@dataclass(slots=True)
class _Counts:
    """Tunnels of one host, or of all: that exist, that are not closed, that are half open."""

    ids: set[int] = field(default_factory=set)
    open: int = 0
    half_open: int = 0


_NOBODY: Final = _Counts()


@dataclass(slots=True)
class _Entry:
    network: str
    is_open: bool = True
    is_half_open: bool = False


class Census:
    """Counts an endpoint's tunnels, in all and by peer, and says what a request may still have."""

    def __init__(self) -> None:
        self._all = _Counts()
        self._by_network: dict[str, _Counts] = {}
        self._entries: dict[int, _Entry] = {}

    @property
    def open(self) -> int:
        """Tunnels that are not closed."""
        return self._all.open

    @property
    def half_open(self) -> int:
        """Tunnels that peers asked for and have not completed."""
        return self._all.half_open

    def tunnels_of(self, host: str) -> frozenset[int]:
        """The ids of a host's tunnels, closed ones included."""
        return frozenset(self._by_network.get(network_of(host), _NOBODY).ids)

    def add(self, local_tunnel_id: int, host: str, *, half_open: bool) -> None:
        """Count a new tunnel; `half_open` where the peer asked for it."""
        entry = _Entry(network_of(host), is_half_open=half_open)
        self._entries[local_tunnel_id] = entry
        for counts in self._counts(entry):
            counts.ids.add(local_tunnel_id)
            counts.open += 1
            counts.half_open += half_open

    def complete(self, local_tunnel_id: int) -> None:
        """Note that a tunnel is no longer half open."""
        entry = self._entries[local_tunnel_id]
        for counts in self._counts(entry):
            counts.half_open -= entry.is_half_open
        entry.is_half_open = False

    def close(self, local_tunnel_id: int) -> None:
        """Note that a tunnel is closed: only its retention is left."""
        self.complete(local_tunnel_id)
        entry = self._entries[local_tunnel_id]
        for counts in self._counts(entry):
            counts.open -= entry.is_open
        entry.is_open = False

    def remove(self, local_tunnel_id: int) -> None:
        """Forget a tunnel."""
        self.close(local_tunnel_id)
        entry = self._entries.pop(local_tunnel_id)
        for counts in self._counts(entry):
            counts.ids.discard(local_tunnel_id)
        if not self._by_network[entry.network].ids:
            del self._by_network[entry.network]

    def refuses(self, host: str, maximum_tunnels: int, limits: Limits) -> Refusal | None:
        """Why a request for a tunnel from `host` is dropped; None when it is looked at."""
        peer = self._by_network.get(network_of(host), _NOBODY)
        rows = (
            (self._all.half_open, limits.maximum_half_open_tunnels, "", True),
            (peer.half_open, limits.maximum_half_open_tunnels_per_peer, f" from {host}", True),
            (len(self._all.ids), _ROOM_FOR_CLOSED * maximum_tunnels, "", False),
            (len(self._all.ids), MAXIMUM_ID, "", False),
            (
                len(peer.ids),
                _ROOM_FOR_CLOSED * limits.maximum_tunnels_per_peer,
                f" with {host}",
                False,
            ),
        )
        for count, limit, whose, is_half_open in rows:
            if limit and count >= limit:
                if is_half_open:
                    cause = f"{count} tunnels{whose} were asked for and not completed"
                    return Refusal(DropReason.TOO_MANY_HALF_OPEN, cause)
                cause = f"{count} tunnels{whose} are open or closing"
                return Refusal(DropReason.TOO_MANY_TUNNELS, cause)
        return None

    def is_full(self, host: str, maximum_tunnels: int, limits: Limits) -> bool:
        """Whether a request from `host` is one tunnel too many, and told so by a StopCCN."""
        peer = self._by_network.get(network_of(host), _NOBODY)
        per_peer = limits.maximum_tunnels_per_peer
        return self._all.open >= maximum_tunnels or bool(per_peer and peer.open >= per_peer)

    def _counts(self, entry: _Entry) -> tuple[_Counts, _Counts]:
        return self._all, self._by_network.setdefault(entry.network, _Counts())


class Throttle:
    """Lets so many messages a second pass of each sender, two seconds' worth of them at once."""

    def __init__(self, remembered: int = _REMEMBERED_SENDERS) -> None:
        self._remembered = remembered
        self._allowances: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def admits(self, sender: Hashable, per_s: float, now: float) -> bool:
        """Whether one more message of the sender is within `per_s`; 0 is no limit."""
        if not per_s:
            return True
        burst = max(1.0, per_s * _BURST_S)
        allowance, at = self._allowances.get(sender, (burst, now))
        allowance = min(burst, allowance + (now - at) * per_s)
        is_admitted = allowance >= 1.0
        self._allowances[sender] = (allowance - is_admitted, now)
        self._allowances.move_to_end(sender)
        if len(self._allowances) > self._remembered:
            self._allowances.popitem(last=False)
        return is_admitted


@lru_cache(maxsize=_REMEMBERED_SENDERS)
def network_of(host: str) -> str:
    """What tells a peer from others: an IPv4 address, or the first 64 bits of an IPv6 address."""
    if ":" not in host:
        return host
    number = int(IPv6Address(host.partition("%")[0]))
    prefix = number >> (128 - _NETWORK_BITS) << (128 - _NETWORK_BITS)
    return f"{IPv6Address(prefix)}/{_NETWORK_BITS}"
