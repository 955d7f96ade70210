"""A daemon's configuration: TOML → l2tp.config.settings, every mistake reported at once."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from l2tp.config.credentials import Credentials, load_credentials
from l2tp.config.endpoint import read_endpoint
from l2tp.config.ppp import read_ppp, read_user
from l2tp.config.settings import DaemonConfig, LnsConfig, UserConfig
from l2tp.config.toml_table import ConfigurationError, Document, Table
from l2tp.config.tunnels import need_secret, read_lines, read_listeners, read_redial, read_tunnels
from l2tp.dataplane import SessionOptions


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
    settings = read_ppp(ppp)
    lns = _lns(root, ppp, credentials, ipv4=settings.ipv4) if role == "lns" else None
    listen = read_listeners(root)
    tunnels = read_tunnels(root, credentials)
    lines = read_lines(root, credentials) if role == "lac" else ()
    if role == "lns" and not listen:
        root.problem("listen", "an LNS needs at least one [[listen]] with an address")
    if role == "lac" and not (tunnels or listen):
        root.problem("tunnel", "a LAC needs at least one [[tunnel]], or a [[listen]]")
    ppp.close()
    return DaemonConfig(
        path=path.resolve(),
        role=role,
        state_folder=(path.parent / root.text("state_folder", ".")).resolve(),
        pppd=Path(root.text("pppd", "/usr/sbin/pppd")),
        ppp_timeout_s=root.number("ppp_timeout_s", 0.1, 600.0, 3.0),
        stop_timeout_s=root.number("stop_timeout_s", 0.1, 600.0, 5.0),
        log_messages=root.boolean("log_messages", True),
        endpoint=read_endpoint(root, role, credentials, listens=bool(listen), dials=bool(lines)),
        ppp=settings,
        data=_data(root.table("data"), role),
        credentials=credentials,
        listen=listen,
        tunnels=tunnels,
        lines=lines,
        redial=read_redial(root),
        lns=lns,
    )


def _data(table: Table, role: str) -> SessionOptions:
    options = SessionOptions(
        lns_mode=table.boolean("lns_mode", role == "lns"),
        send_sequence=table.boolean("send_sequence", False),
        receive_sequence=table.boolean("receive_sequence", False),
        reorder_timeout_ms=table.integer("reorder_timeout_ms", 0, 60_000, 0),
    )
    table.close()
    return options


def _lns(root: Table, ppp: Table, credentials: Credentials, *, ipv4: bool) -> LnsConfig:
    # Without IPv4 nobody needs them.
    local = ppp.address("local_ipv4", None if ipv4 else "0.0.0.0", version=4)
    pool = ppp.network("pool", None if ipv4 else "0.0.0.0/32")
    users: dict[str, UserConfig] = {}
    for table in root.tables("user"):
        user = read_user(table)
        if user.name in users:
            table.problem("name", f'"{user.name}" is there already')
        need_secret(table, "name", user.name, credentials)
        taken = {one.ipv4: one.name for one in users.values() if one.ipv4}
        if user.ipv4 in {*taken, ipaddress.IPv4Address(local or "0.0.0.0")}:
            owner = f'"{taken[user.ipv4]}" has' if user.ipv4 in taken else "the LNS itself has"
            table.problem("ipv4", f"{owner} {user.ipv4} already; give each user its own address")
        users[user.name] = user
        table.close()
    lns = LnsConfig(
        local_ipv4=ipaddress.IPv4Address(local or "0.0.0.0"),
        pool=ipaddress.IPv4Network(pool or "0.0.0.0/32"),
        users=users,
    )
    reserved = lns.reserved
    if ipv4 and local and pool and all(host in reserved for host in lns.pool.hosts()):
        ppp.problem(
            "pool",
            f"{pool} has no address for a caller besides those of the LNS and of certain users; "
            "choose a larger network",
        )
    return lns
