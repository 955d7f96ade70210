"""What a daemon is configured to be, as l2tp.config.load reads it from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from l2tp.config.credentials import Credentials
from l2tp.dataplane import SessionOptions
from l2tp.ppp.options import PppSettings
from l2tp.protocol.parameters import Address, EndpointConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CallConfig:
    """A call that a LAC places, and what it sets up once PPP is up.

    ``routes`` (prefixes) and ``addresses`` (with prefix length) go to the call's ppp interface.
    """

    user: str
    routes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    at_start: bool = True
    called_number: str | None = None
    calling_number: str | None = None
    sequencing: bool = False
    """Data must be numbered both ways: the Sequencing Required AVP (RFC 2661 §4.4.6)."""
    redial: bool = False
    """A call that is lost, and was not hung up here, is placed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedialConfig:
    """When lost calls are placed again; ``attempts`` in a row, 0 for no end."""

    first_s: float = 1.0
    longest_s: float = 60.0
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenConfig:
    """Where requests for tunnels are heard, and the port that they are answered from.

    ``answer_port`` is the listener's own, or another that each tunnel gets (0: a free one), which
    RFC 2661 §8.1 leaves to the answerer.
    """

    address: Address
    answer_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelConfig:
    """A tunnel that a LAC opens: from ``local`` (port 0: a free one) to ``peer``."""

    name: str
    local: Address
    peer: Address
    secret: bytes | None
    at_start: bool
    calls: tuple[CallConfig, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """A caller that an LNS knows.

    ``routes`` are the prefixes behind it (framed routes), ``ipv4`` the address that it always gets,
    ``ipv6_prefix`` what is advertised to it on its session.
    """

    name: str
    routes: tuple[str, ...] = ()
    ipv4: IPv4Address | None = None
    ipv6_prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LnsConfig:
    """What only an LNS has: which addresses it gives, whom it knows."""

    local_ipv4: IPv4Address
    pool: IPv4Network
    users: Mapping[str, UserConfig]

    @property
    def reserved(self) -> frozenset[IPv4Address]:
        """Return what no caller gets from the pool: our own address, and those of certain users."""
        users = (user.ipv4 for user in self.users.values() if user.ipv4)
        return frozenset({self.local_ipv4, *users})


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """Everything a daemon needs to know; ``path`` is the file that said it."""

    path: Path
    role: str
    state_folder: Path
    pppd: Path
    ppp_timeout_s: float
    stop_timeout_s: float
    log_messages: bool
    endpoint: EndpointConfig
    ppp: PppSettings
    data: SessionOptions
    credentials: Credentials
    listen: tuple[ListenConfig, ...] = ()
    tunnels: tuple[TunnelConfig, ...] = ()
    lines: tuple[CallConfig, ...] = ()
    """Called parties of outgoing calls, by ``called_number``: a LAC ends their PPP itself."""
    redial: RedialConfig = field(default_factory=RedialConfig)
    lns: LnsConfig | None = None

    @property
    def fixed_addresses(self) -> dict[str, str]:
        """Return the IPv4 addresses of the users that always get the same."""
        users = self.lns.users.values() if self.lns else ()
        return {user.name: str(user.ipv4) for user in users if user.ipv4}
