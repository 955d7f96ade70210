"""The options that one pppd gets, and the file they are written to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Final

AUTHENTICATION_METHODS: Final = ("chap", "mschap-v2", "pap", "none")
"""How an LNS has its callers prove who they are; pppd's words, and "none"."""

_TEMPLATES: Final = Path(__file__).with_name("templates")
_REFUSABLE: Final = ("pap", "chap", "mschap", "mschap-v2", "eap")


@dataclass(frozen=True, slots=True, kw_only=True)
class PppSettings:
    """What every PPP session of a daemon has in common (units of pppd(8))."""

    mtu: int = 1458
    mru: int = 1458
    authentication: str = "chap"
    ipv6: bool = True
    echo_interval_s: int = 30
    echo_failures: int = 4
    debug: bool = False
    extra: tuple[str, ...] = ()
    """Further option lines for pppd, as they stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PppCall:
    """What one PPP session is about.

    ``name`` is the user on the calling side, our host name on the answering side, whose two
    addresses are given; the calling side takes what it is offered.
    """

    local_tunnel_id: int
    local_session_id: int
    name: str
    answers: bool
    local_ipv4: str | None = None
    peer_ipv4: str | None = None

    @property
    def session(self) -> str:
        """Return the name that pppd's scripts give back: tunnel id, dot, session id."""
        return f"{self.local_tunnel_id}.{self.local_session_id}"


def render_options(settings: PppSettings, call: PppCall, session_fd: int) -> str:
    """Return the text of pppd's options file; no secret is in it."""
    fields = {
        "session": call.session,
        "session_fd": session_fd,
        "local_tunnel_id": call.local_tunnel_id,
        "local_session_id": call.local_session_id,
        "name": quoted(call.name),
        "local_ipv4": call.local_ipv4,
        "peer_ipv4": call.peer_ipv4,
        "mtu": settings.mtu,
        "mru": settings.mru,
        "ipv6": "+ipv6" if settings.ipv6 else "noipv6",
        "echo_interval_s": settings.echo_interval_s,
        "echo_failures": settings.echo_failures,
        "required": _required(settings.authentication),
        "refused": _refused(settings.authentication),
    }
    end = "answerer" if call.answers else "caller"
    text = "".join(_template(name).substitute(fields) for name in ("common", end))
    further = (("debug",) if settings.debug else ()) + settings.extra
    return text + "".join(f"{option}\n" for option in further)


def quoted(word: str) -> str:
    """Quote a word for pppd's option and secrets files (pppd(8), "OPTIONS FILES")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _required(authentication: str) -> str:
    """How the caller must prove who it is."""
    return "noauth" if authentication == "none" else f"auth\nrequire-{authentication}"


def _refused(authentication: str) -> str:
    """The methods by which we do not prove who we are, as the caller."""
    if authentication == "none":
        return ""
    return "\n".join(f"refuse-{method}" for method in _REFUSABLE if method != authentication)


@cache
def _template(name: str) -> Template:
    return Template((_TEMPLATES / f"{name}.options").read_text())
