"""[[listen]], [[tunnel]], their calls and [redial] of a configuration → l2tp.config.settings."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict
from typing import Final

from l2tp.config.avp_text import read_avp_text
from l2tp.config.credentials import Credentials
from l2tp.config.settings import CallConfig, ListenConfig, RedialConfig, TunnelConfig
from l2tp.config.toml_table import Table
from l2tp.protocol.constants import PORT
from l2tp.protocol.parameters import Address

_DAY_S: Final = 86400.0


def read_listeners(root: Table) -> tuple[ListenConfig, ...]:
    """Read where to listen: one table [listen], or several [[listen]]."""
    listeners: list[ListenConfig] = []
    for table in root.one_or_more("listen"):
        address = Address(table.address("address"), table.integer("port", 1, 0xFFFF, PORT))
        if any(address == other.address for other in listeners):
            table.problem("address", f"{address} is listened at already")
        listeners.append(
            ListenConfig(
                address=address,
                answer_port=table.integer("answer_port", 0, 0xFFFF, address.port),
            )
        )
        table.close()
    return tuple(listeners)


def read_redial(root: Table) -> RedialConfig:
    """Read when lost calls are placed again."""
    table = root.table("redial")
    defaults = RedialConfig()
    redial = RedialConfig(
        first_s=table.number("first_s", 0.1, _DAY_S, defaults.first_s),
        longest_s=table.number("longest_s", 0.1, _DAY_S, defaults.longest_s),
        attempts=table.integer("attempts", 0, 1_000_000, defaults.attempts),
    )
    table.ascending("first_s", "longest_s", asdict(redial))
    table.close()
    return redial


def read_tunnels(root: Table, credentials: Credentials) -> tuple[TunnelConfig, ...]:
    """Read the tunnels to open, and the calls to place in them."""
    tunnels: list[TunnelConfig] = []
    for table in root.tables("tunnel"):
        tunnel = _tunnel(table, credentials)
        if any(other.name == tunnel.name for other in tunnels):
            table.problem("name", f'"{tunnel.name}" is there already')
        tunnels.append(tunnel)
    return tuple(tunnels)


def read_lines(root: Table, credentials: Credentials) -> tuple[CallConfig, ...]:
    """Read the called parties that a LAC has for outgoing calls, each behind its number."""
    lines: list[CallConfig] = []
    for table in root.tables("line"):
        line = CallConfig(
            called_number=read_avp_text(table, "number"),
            user=table.text("user"),
            routes=table.prefixes("routes"),
            addresses=table.interfaces("addresses"),
            sequencing=table.boolean("sequencing", False),
        )
        if any(line.called_number == other.called_number for other in lines):
            table.problem("number", f'"{line.called_number}" is there already')
        need_secret(table, "user", line.user, credentials)
        lines.append(line)
        table.close()
    return tuple(lines)


def _tunnel(table: Table, credentials: Credentials) -> TunnelConfig:
    local = table.address("local")
    peer = table.address("peer")
    if local and peer and (":" in local) != (":" in peer):
        table.problem("local", f"{local} and the peer {peer} are not of one IP version")
    secret_name = table.text("secret", " ").strip()
    if secret_name and secret_name not in credentials.tunnels:
        table.problem("secret", f'there is no "{secret_name}" in [tunnels] of the secrets file')
    calls = tuple(_call(call, peer, credentials) for call in table.tables("call"))
    tunnel = TunnelConfig(
        name=table.text("name"),
        local=Address(local, table.integer("local_port", 0, 0xFFFF, PORT)),
        peer=Address(peer, table.integer("peer_port", 1, 0xFFFF, PORT)),
        secret=credentials.tunnels.get(secret_name),
        at_start=table.boolean("at_start", True),
        calls=calls,
    )
    table.close()
    return tunnel


def _call(table: Table, peer: str, credentials: Credentials) -> CallConfig:
    call = CallConfig(
        user=table.text("user"),
        routes=table.prefixes("routes"),
        addresses=table.interfaces("addresses"),
        at_start=table.boolean("at_start", True),
        called_number=read_avp_text(table, "called_number", " ").strip() or None,
        calling_number=read_avp_text(table, "calling_number", " ").strip() or None,
        sequencing=table.boolean("sequencing", False),
        redial=table.boolean("redial", False),
    )
    need_secret(table, "user", call.user, credentials)
    if wrong := routes_into_itself(call.routes, peer):
        table.problem("routes", wrong)
    table.close()
    return call


def routes_into_itself(routes: tuple[str, ...], peer: str) -> str | None:
    """Say which of a call's routes would send the tunnel's own packets into the tunnel."""
    for route in routes:
        try:
            inside = ipaddress.ip_address(peer) in ipaddress.ip_network(route)
        except ValueError:
            continue  # reported where it was read
        if inside:
            return (
                f"{route} contains the tunnel's peer {peer}: the tunnel would run through "
                "itself. Give prefixes without that address"
            )
    return None


def need_secret(table: Table, key: str, user: str, credentials: Credentials) -> None:
    """Note a user of whom the secrets file knows nothing."""
    if user and user not in credentials.users:
        table.problem(key, f'there is no "{user}" in [users] of the secrets file')
