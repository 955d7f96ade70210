"""xl2tpd as a peer: what it is to do, and the files that tell it so (xl2tpd.conf(5))."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from l2tp.ppp.options import quoted
from lab.errors import UsageError
from lab.network.plan import File, Folder

TEMPLATES = Path(__file__).parent.parent / "templates" / "xl2tpd"
_COMMENT_SIGNS = ";#"


@dataclass(frozen=True)
class Service:
    """What an LNS gives out: its own PPP address, and the first and last of its pool (IPv4)."""

    address: str
    first: str
    last: str


@dataclass(frozen=True)
class Call:
    """A tunnel of its own with one call in it: xl2tpd has one for each ``[lac]`` section.

    ``lns`` is the LNS's address; ``redial_s`` whole seconds to wait after an end. ``routes`` are
    prefixes that lead into the session while PPP runs.
    """

    name: str
    lns: str
    user: str
    autodial: bool = True
    redial_s: int = 1
    routes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Xl2tpd:
    """One xl2tpd, LNS where it has a ``service``, LAC where it has ``calls``.

    ``secrets`` go by the peer's host name; with any, it challenges every tunnel. ``users`` go by
    name. ``hidden_bit`` makes it send a Random Vector, and no more: Debian's is built without the
    code that would hide an AVP. ``maximum_retries`` and ``backoff_cap_s`` are whole numbers; its
    HELLO comes once a minute. With ``debug`` its log tells every AVP. Raises UsageError for a
    secret that its file cannot hold.
    """

    host_name: str
    address: str
    port: int = 1701
    service: Service | None = None
    calls: tuple[Call, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    hidden_bit: bool = False
    maximum_retries: int = 5
    backoff_cap_s: int = 8
    mtu: int = 1458
    mru: int = 1458
    debug: bool = False

    def __post_init__(self) -> None:
        for peer, secret in self.secrets.items():
            if any(sign in secret for sign in _COMMENT_SIGNS) or secret != secret.strip():
                raise UsageError(
                    f"xl2tpd cannot use the secret with {peer}: in its file “;” and “#” begin a "
                    "comment, and spaces at either end are lost. Choose another secret"
                )


def peer_files(peer: Xl2tpd, home: Path) -> tuple[Folder | File, ...]:
    """Lay out the folder ``home`` of an xl2tpd; files with secrets are for root alone."""
    ppp = home / "ppp"
    pairs = "".join(f"{quoted(u)} * {quoted(p)} *\n" for u, p in peer.users.items())
    tunnels = "".join(f"{peer.host_name} {name} {text}\n" for name, text in peer.secrets.items())
    return (
        Folder(str(home), 0o700),
        Folder(str(ppp), 0o700),
        File(str(home / "xl2tpd.conf"), _render("xl2tpd.conf", peer, home), 0o644),
        File(str(home / "l2tp-secrets"), tunnels, 0o600),
        File(str(ppp / "xl2tpd"), _render("ppp.options", peer, home), 0o644),
        *(step for call in peer.calls for step in _call_files(peer, call, home)),
        # pppd refuses to run without this one, and reads it first.
        File(str(ppp / "options"), "", 0o644),
        File(str(ppp / "chap-secrets"), pairs, 0o600),
        File(str(ppp / "pap-secrets"), pairs, 0o600),
    )


def peer_argv(home: Path, *, python: str = sys.executable) -> tuple[str, ...]:
    """Say how the xl2tpd of a folder is started, with a private /etc/ppp and /run."""
    return (python, "-m", "lab.peers.start_xl2tpd", str(home))


def _call_files(peer: Xl2tpd, call: Call, home: Path) -> Iterator[File]:
    if call.routes:
        # By pppd's own name for it: /etc/ppp is this peer's folder, and may hold programs.
        script = f"/etc/ppp/{call.name}.ip-up"
        options = _render("ppp.options", peer, home) + f"ip-up-script {script}\n"
        yield File(str(home / "ppp" / call.name), options, 0o644)
        yield File(str(home / "ppp" / f"{call.name}.ip-up"), _ip_up(call.routes), 0o755)


def _ip_up(routes: tuple[str, ...]) -> str:
    """Write what pppd runs once IPv4 is up, with the interface's name as its first word."""
    lines = (f'ip route add {route} dev "$1"\n' for route in routes)
    return "#!/bin/sh\n" + "".join(lines)


def _render(name: str, peer: Xl2tpd, home: Path) -> str:
    # Imported late: it takes longer than bringing up a lab without such a peer.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    values = {"peer": peer, "home": str(home)}
    common = environment.get_template("common.j2").render(values).strip()
    return environment.get_template(f"{name}.j2").render(values, common=common)
