"""The options that one pppd gets, and the file they are written to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from l2tp.dataplane import SessionOptions

if TYPE_CHECKING:
    from jinja2 import Template

AUTHENTICATION_METHODS: Final = ("chap", "mschap-v2", "pap", "none")
"""How an LNS has its callers prove who they are; pppd's words, and "none"."""

_TEMPLATES: Final = Path(__file__).with_name("templates")
_UNNUMBERED: Final = SessionOptions()
_REFUSABLE: Final = ("pap", "chap", "mschap", "mschap-v2", "eap")


@dataclass(frozen=True, slots=True, kw_only=True)
class PppSettings:
    """What every PPP session of a daemon has in common (units of pppd(8))."""

    mtu: int = 1458
    mru: int = 1458
    authentication: str = "chap"
    ipv4: bool = True
    ipv6: bool = True
    echo_interval_s: int = 30
    echo_failures: int = 4
    idle_timeout_s: int = 0
    """PPP ends after so long without a packet of a network protocol; 0: never."""
    session_timeout_s: int = 0
    """PPP ends so long after it came up; 0: never."""
    setup_timeout_s: float = 60.0
    """A session without a network protocol after so long is given up."""
    dns: tuple[str, ...] = ()
    """Name servers that the answering side names to its callers (RFC 1877), two at most."""
    debug: bool = False
    extra: tuple[str, ...] = ()
    """Further option lines for pppd, as they stand."""

    @property
    def families(self) -> frozenset[str]:
        """Return the address families that a session must bring up: "ipv4", "ipv6"."""
        wanted = {"ipv4": self.ipv4, "ipv6": self.ipv6}
        return frozenset(family for family, is_wanted in wanted.items() if is_wanted)


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
    sequencing: bool = False
    """The call requires numbered data (RFC 2661 §4.4.6), whatever is set for all of them."""

    @property
    def session(self) -> str:
        """Return the name that pppd's scripts give back: tunnel id, dot, session id."""
        return f"{self.local_tunnel_id}.{self.local_session_id}"


def render_options(
    settings: PppSettings,
    call: PppCall,
    session_fd: int,
    data: SessionOptions = _UNNUMBERED,
) -> str:
    """Return the text of pppd's options file; no secret is in it.

    ``data`` is how the session's socket is set, which pppd sets once more.
    """
    fields = {**asdict(settings), **asdict(call), **asdict(data), "session": call.session}
    return _template().render(fields, session_fd=session_fd, refusable=_REFUSABLE)


def quoted(word: str) -> str:
    """Quote a word for pppd's option and secrets files (pppd(8), "OPTIONS FILES")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def remember() -> None:
    """Read the template now, for all options to come."""
    _template()


@cache
def _template() -> Template:
    # Imported with the first session: it takes longer than the rest of a daemon's start.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # pppd's options are no HTML; what needs quotes goes through the filter
    )
    environment.filters["quoted"] = quoted
    return environment.get_template("pppd.options.j2")
