"""Does a packet of exactly the session's MTU pass, and is one byte more refused as it should be?"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from lab.instruments.kernelview import run_in
from lab.instruments.ping import ping
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding
from lab.scenarios.sample import sample

QUESTION = "Does the session carry its full MTU with DF, and refuse one byte more?"


def run(live: Live) -> Iterator[Finding]:
    """Ping with DF at the MTU and one byte above it, from both sides of the session."""
    mtu = live.topology.l2tp.ppp.mtu
    for ends in sample(live.sessions()):
        for target in live.targets(ends):
            yield from _from_lac(live, ends, target, mtu)
        yield from _from_host(live, ends, mtu)


def _from_lac(live: Live, ends: SessionEnds, target: str, mtu: int) -> Iterator[Finding]:
    netns = live.netns(ends.tunnel.lac)
    interface = ends.lac["ppp"]["interface"]
    version = ip_address(target).version
    full = ping(netns, target, count=1, interface=interface, size=mtu)
    yield Finding(
        f"{ends.call.user}: an IPv{version} packet of {mtu} bytes with DF passes to {target}",
        full.received == 1,
        f"{full.received} of {full.transmitted} answered",
    )
    over = ping(netns, target, count=1, interface=interface, size=mtu + 1)
    yield Finding(
        f"{ends.call.user}: {mtu + 1} bytes are refused by the LAC itself (EMSGSIZE)",
        over.received == 0 and over.too_long,
        f"{'message too long' if over.too_long else 'no refusal'}, {over.received} answered",
    )


def _from_host(live: Live, ends: SessionEnds, mtu: int) -> Iterator[Finding]:
    address = ends.lac["ppp"]["local_ipv4"]
    targets = [text for text in live.hosts(ends.call) if ip_address(text).version == 4]
    if not targets:
        return
    host = live.netns(live.node_of(targets[0]))
    # An earlier refusal is remembered as an exception of the route, and would be answered locally.
    run_in(host, ["ip", "route", "flush", "cache"])
    full = ping(host, address, count=1, size=mtu)
    yield Finding(
        f"{ends.call.user}: {mtu} bytes with DF pass from the host to {address} too",
        full.received == 1,
        f"{full.received} of {full.transmitted} answered",
    )
    over = ping(host, address, count=1, size=mtu + 1)
    yield Finding(
        f"{ends.call.user}: {mtu + 1} bytes are answered by the LNS with "
        f"“fragmentation needed”, MTU {mtu}",
        over.refused_mtu == mtu and _belongs_to(live, over.refused_by, ends.tunnel.lns),
        f"refused with MTU {over.refused_mtu} by {over.refused_by}",
    )


def _belongs_to(live: Live, address: str | None, node: str) -> bool:
    try:
        return address is not None and live.node_of(address) == node
    except KeyError:
        return False
