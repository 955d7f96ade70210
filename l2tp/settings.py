"""What a daemon is configured to be, as l2tp.config reads it from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from l2tp.credentials import Credentials
from l2tp.dataplane import SessionOptions
from l2tp.parameters import Address, EndpointConfig
from l2tp.ppp.options import PppSettings


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
    """A caller that an LNS knows; ``routes`` are the prefixes behind it (framed routes)."""

    name: str
    routes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LnsConfig:
    """What only an LNS has: where it listens, which addresses it gives, whom it knows."""

    listen: Address
    local_ipv4: IPv4Address
    pool: IPv4Network
    users: Mapping[str, UserConfig]


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """Everything a daemon needs to know; exactly one of ``tunnels`` and ``lns`` is used."""

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
    tunnels: tuple[TunnelConfig, ...] = ()
    lns: LnsConfig | None = None
