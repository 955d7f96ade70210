"""[ppp] and [[user]] of a daemon's configuration → l2tp.ppp.options, l2tp.config.settings."""

from __future__ import annotations

import ipaddress
from typing import Final

from l2tp.config.settings import UserConfig
from l2tp.config.toml_table import Table
from l2tp.ppp.options import AUTHENTICATION_METHODS, PppSettings

_DAY_S: Final = 86400
_LEAST_MTU: Final = 128
"""The least that pppd takes."""
_LEAST_MTU_IPV6: Final = 1280
"""What every link must carry for IPv6 (RFC 8200 §5)."""
_SLAAC_LENGTH: Final = 64


def read_ppp(table: Table) -> PppSettings:
    """Read what all PPP sessions of a daemon have in common."""
    settings = PppSettings(
        # 1500 less IP 20, UDP 8, L2TP 10 and PPP 4 (l2tp/ppp/overhead.py).
        mtu=table.integer("mtu", _LEAST_MTU, 16384, 1458),
        mru=table.integer("mru", _LEAST_MTU, 16384, 1458),
        authentication=table.choice("authentication", AUTHENTICATION_METHODS, "chap"),
        ipv4=table.boolean("ipv4", True),
        ipv6=table.boolean("ipv6", True),
        echo_interval_s=table.integer("echo_interval_s", 0, 3600, 30),
        echo_failures=table.integer("echo_failures", 0, 100, 4),
        idle_timeout_s=table.integer("idle_timeout_s", 0, 365 * _DAY_S, 0),
        session_timeout_s=table.integer("session_timeout_s", 0, 365 * _DAY_S, 0),
        setup_timeout_s=table.number("setup_timeout_s", 1.0, 3600.0, 60.0),
        dns=_dns(table),
        debug=table.boolean("debug", False),
        extra=table.texts("options", _not_option_line),
    )
    if not (settings.ipv4 or settings.ipv6):
        table.problem("ipv6", "without IPv4 and IPv6 a session carries nothing; set one to true")
    # The least stands for a value that was wrong, too.
    if settings.ipv6 and _LEAST_MTU < settings.mtu < _LEAST_MTU_IPV6:
        table.problem(
            "mtu",
            f"{settings.mtu} is too small for IPv6, which needs {_LEAST_MTU_IPV6} (RFC 8200 §5); "
            "raise it, or set ipv6 = false",
        )
    return settings


def read_user(table: Table) -> UserConfig:
    """Read one caller that an LNS knows."""
    ipv4 = table.address("ipv4", "0.0.0.0", version=4)
    prefix = table.text("ipv6_prefix", " ").strip()
    if prefix and not _is_slaac_prefix(prefix):
        table.problem(
            "ipv6_prefix",
            f"{prefix!r} is no IPv6 prefix of length {_SLAAC_LENGTH}, which a caller needs to "
            "form its address from a router advertisement (RFC 4862 §5.5.3)",
        )
    return UserConfig(
        name=table.text("name"),
        routes=table.prefixes("routes"),
        ipv4=None if ipv4 in ("", "0.0.0.0") else ipaddress.IPv4Address(ipv4),
        ipv6_prefix=prefix or None,
    )


def _is_slaac_prefix(text: str) -> bool:
    try:
        return ipaddress.IPv6Network(text).prefixlen == _SLAAC_LENGTH
    except ValueError:
        return False


def _dns(table: Table) -> tuple[str, ...]:
    servers = table.texts("dns", _not_ipv4)
    if len(servers) > 2:
        table.problem("dns", "IPCP carries two servers at most (RFC 1877 §1)")
    return servers


def _not_ipv4(text: str) -> str | None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return f'"{text}" is not an IPv4 address'
    return None


def _not_option_line(line: str) -> str | None:
    return None if line and line.isprintable() else "each must be one line of pppd options"
