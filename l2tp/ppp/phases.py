"""What pppd's scripts say, and the phase that a PPP session is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """The phases of a PPP link (RFC 1661 §3.2), with "running" once a network protocol is up."""

    ESTABLISH = "establish"
    NETWORK = "network"
    RUNNING = "running"
    TERMINATE = "terminate"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Notice:
    """One run of one of pppd's scripts: its name, the session, and what pppd told it."""

    script: str
    session: str
    interface: str
    local_ipv4: str
    peer_ipv4: str
    local_ipv6: str
    peer_ipv6: str
    peer_name: str
    dns_1: str = ""
    dns_2: str = ""


_FIELDS: Final = 10


def parse_notice(line: str) -> Notice | None:
    """Read one line of the notify script; None for anything else."""
    fields = line.split("\t")
    if len(fields) != _FIELDS:
        return None
    return Notice(*fields)


@dataclass(slots=True)
class PppState:
    """What is known of a session's PPP; addresses are text without prefix length."""

    phase: Phase = Phase.ESTABLISH
    pid: int | None = None
    user: str | None = None
    interface: str | None = None
    local_ipv4: str | None = None
    peer_ipv4: str | None = None
    local_ipv6: str | None = None
    peer_ipv6: str | None = None
    dns: tuple[str, ...] = ()
    _up: set[str] = field(default_factory=set)

    @property
    def unit(self) -> int | None:
        """Return the number of the ppp interface."""
        digits = (self.interface or "").removeprefix("ppp")
        return int(digits) if digits.isdecimal() else None

    def apply(self, notice: Notice) -> None:
        """Take over what a script said."""
        self.interface = notice.interface or self.interface
        # Only a peer that proved who it is has a name here.
        self.user = notice.peer_name or self.user
        if notice.script == "auth-up":
            if self.phase is Phase.ESTABLISH:
                self.phase = Phase.NETWORK
        elif notice.script == "ip-up":
            self.local_ipv4, self.peer_ipv4 = notice.local_ipv4, notice.peer_ipv4
            self.dns = tuple(filter(None, (notice.dns_1, notice.dns_2)))
            self._rise("ipv4")
        elif notice.script == "ipv6-up":
            self.local_ipv6, self.peer_ipv6 = notice.local_ipv6, notice.peer_ipv6
            self._rise("ipv6")
        elif notice.script == "ip-down":
            self.local_ipv4 = self.peer_ipv4 = None
            self.dns = ()
            self._fall("ipv4")
        elif notice.script == "ipv6-down":
            self.local_ipv6 = self.peer_ipv6 = None
            self._fall("ipv6")

    def _rise(self, family: str) -> None:
        self._up.add(family)
        self.phase = Phase.RUNNING

    def _fall(self, family: str) -> None:
        self._up.discard(family)
        if not self._up:
            self.phase = Phase.TERMINATE
