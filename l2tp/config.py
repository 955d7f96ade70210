"""A daemon's configuration: TOML → l2tp.settings, every mistake reported at once."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from l2tp.config_endpoint import read_endpoint
from l2tp.constants import PORT
from l2tp.credentials import Credentials, load_credentials
from l2tp.dataplane import SessionOptions
from l2tp.parameters import Address
from l2tp.ppp.options import AUTHENTICATION_METHODS, PppSettings
from l2tp.settings import CallConfig, DaemonConfig, LnsConfig, TunnelConfig, UserConfig
from l2tp.toml_table import ConfigurationError, Document, Table


def load_config(path: Path, role: str) -> DaemonConfig:
    """Read the configuration of a "lac" or "lns" and its secrets; raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError([f"{path}: cannot read the configuration: {reason}"]) from error
    document = Document(path, text)
    credentials = _credentials(document, path)
    config = _daemon(document.root, path, role, credentials)
    document.root.close()
    document.finish()
    return config


def _credentials(document: Document, path: Path) -> Credentials:
    secrets = document.root.text("secrets_file", "secrets.toml")
    try:
        return load_credentials(path.parent / secrets)
    except ConfigurationError as error:
        document.problems.extend(error.problems)
        return Credentials()


def _daemon(root: Table, path: Path, role: str, credentials: Credentials) -> DaemonConfig:
    if (named := root.choice("role", ("lac", "lns"), role)) != role:
        root.problem("role", f'this is the configuration of "{named}", started as "{role}"')
    ppp = root.table("ppp")
    settings = _ppp_settings(ppp)
    lns = _lns(root, ppp, credentials) if role == "lns" else None
    tunnels = _tunnels(root, credentials) if role == "lac" else ()
    ppp.close()
    return DaemonConfig(
        role=role,
        state_folder=(path.parent / root.text("state_folder", ".")).resolve(),
        pppd=Path(root.text("pppd", "/usr/sbin/pppd")),
        ppp_timeout_s=root.number("ppp_timeout_s", 0.1, 600.0, 3.0),
        stop_timeout_s=root.number("stop_timeout_s", 0.1, 600.0, 5.0),
        log_messages=root.boolean("log_messages", True),
        endpoint=read_endpoint(root, role, credentials),
        ppp=settings,
        data=_data(root.table("data"), role),
        credentials=credentials,
        tunnels=tunnels,
        lns=lns,
    )


def _ppp_settings(table: Table) -> PppSettings:
    return PppSettings(
        # 1500 less IP 20, UDP 8, L2TP 6 to 12 and PPP 2 to 4; 128 is the least pppd takes.
        mtu=table.integer("mtu", 128, 16384, 1458),
        mru=table.integer("mru", 128, 16384, 1458),
        authentication=table.choice("authentication", AUTHENTICATION_METHODS, "chap"),
        ipv6=table.boolean("ipv6", True),
        echo_interval_s=table.integer("echo_interval_s", 0, 3600, 30),
        echo_failures=table.integer("echo_failures", 0, 100, 4),
        debug=table.boolean("debug", False),
        extra=table.texts("options", _not_option_line),
    )


def _not_option_line(line: str) -> str | None:
    return None if line and line.isprintable() else "each must be one line of pppd options"


def _data(table: Table, role: str) -> SessionOptions:
    options = SessionOptions(
        lns_mode=table.boolean("lns_mode", role == "lns"),
        send_sequence=table.boolean("send_sequence", False),
        receive_sequence=table.boolean("receive_sequence", False),
        reorder_timeout_ms=table.integer("reorder_timeout_ms", 0, 60_000, 0),
    )
    table.close()
    return options


def _lns(root: Table, ppp: Table, credentials: Credentials) -> LnsConfig:
    listen = root.table("listen")
    address = Address(listen.address("address"), listen.integer("port", 1, 0xFFFF, PORT))
    listen.close()
    local = ppp.address("local_ipv4", version=4)
    pool = ppp.network("pool")
    users = {}
    for table in root.tables("user"):
        user = UserConfig(name=table.text("name"), routes=table.prefixes("routes"))
        if user.name in users:
            table.problem("name", f'"{user.name}" is there already')
        _need_secret(table, "name", user.name, credentials)
        users[user.name] = user
        table.close()
    return LnsConfig(
        listen=address,
        local_ipv4=ipaddress.IPv4Address(local or "0.0.0.0"),
        pool=ipaddress.IPv4Network(pool or "0.0.0.0/32"),
        users=users,
    )


def _tunnels(root: Table, credentials: Credentials) -> tuple[TunnelConfig, ...]:
    tunnels: list[TunnelConfig] = []
    for table in root.tables("tunnel"):
        tunnel = _tunnel(table, credentials)
        for other in tunnels:
            if other.name == tunnel.name:
                table.problem("name", f'"{tunnel.name}" is there already')
            if other.local.port and (other.local, other.peer) == (tunnel.local, tunnel.peer):
                table.problem(
                    "local_port",
                    f'tunnel "{other.name}" has the same addresses and ports, so the kernel '
                    "could not tell their datagrams apart; set local_port = 0",
                )
        tunnels.append(tunnel)
    if not tunnels:
        root.problem("tunnel", "a LAC needs at least one [[tunnel]]")
    return tuple(tunnels)


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
        called_number=table.text("called_number", " ").strip() or None,
        calling_number=table.text("calling_number", " ").strip() or None,
    )
    _need_secret(table, "user", call.user, credentials)
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


def _need_secret(table: Table, key: str, user: str, credentials: Credentials) -> None:
    if user and user not in credentials.users:
        table.problem(key, f'there is no "{user}" in [users] of the secrets file')
