"""Runs ping in a namespace and reads what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from lab.instruments.kernelview import run_in
from lab.pace import scaled

#: IP and ICMP headers, in bytes: what a payload must leave room for.
HEADERS = {4: 20 + 8, 6: 40 + 8}

_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+) received")
_TIMES = re.compile(r"= [\d.]+/([\d.]+)/")
_REFUSED = re.compile(r"(?:\(mtu = |Packet too big: mtu=)(\d+)")
_TOO_LONG = re.compile(r"message too long", re.IGNORECASE)
_ANSWERED_BY = re.compile(r"^From (\S+?):? ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PingResult:
    """What ping counted, and who refused with which MTU."""

    transmitted: int
    received: int
    average_ms: float | None
    refused_mtu: int | None  #: the MTU that a router's refusal named, in bytes
    refused_by: str | None  #: the router that refused
    too_long: bool  #: this host itself refused to send (EMSGSIZE)


def ping(
    netns: str,
    target: str,
    *,
    count: int,
    interface: str | None = None,
    size: int | None = None,
    wait_s: float | None = None,
) -> PingResult:
    """Ping from a namespace. ``size`` in bytes, IP header included, forbids fragmentation.

    The last answer is waited for ``wait_s``, or for 2 s stretched by the machine's slowness.

    ``target`` may be a link-local address where there is an ``interface``.
    """
    version = ip_address(target.partition("%")[0]).version
    limit = f"{wait_s or scaled(2):.0f}"
    options = ["-n", f"-{version}", "-c", str(count), "-i", "0.2", "-W", limit]
    if interface:
        options += ["-I", interface]
    if size is not None:
        options += ["-M", "do", "-s", str(size - HEADERS[version])]
    done = run_in(netns, ["ping", *options, target], timeout_s=scaled(10 + 2 * count))
    return read_ping(done.stdout + done.stderr)


def read_ping(text: str) -> PingResult:
    """Read what iputils' ping says, both its output and its errors."""
    counts = _COUNTS.search(text)
    times = _TIMES.search(text)
    refused = _REFUSED.search(text)
    answered_by = _ANSWERED_BY.search(text)
    return PingResult(
        transmitted=int(counts[1]) if counts else 0,
        received=int(counts[2]) if counts else 0,
        average_ms=float(times[1]) if times else None,
        refused_mtu=int(refused[1]) if refused else None,
        refused_by=answered_by[1] if answered_by and refused else None,
        too_long=_TOO_LONG.search(text) is not None,
    )
