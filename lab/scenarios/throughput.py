"""How fast is TCP through the tunnel, beside the plain path that carries it?"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from lab.errors import CannotRun
from lab.instruments.iperf import iperf_tcp
from lab.instruments.kernelview import interfaces
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding

QUESTION = "Does TCP run through the tunnel, and how fast beside the plain veth?"

_SECONDS = 1


def run(live: Live) -> Iterator[Finding]:
    """Run iperf3 through the first session, and between the tunnel's own addresses."""
    for ends in live.sessions()[:1]:
        yield from _through(live, ends)


def _through(live: Live, ends: SessionEnds) -> Iterator[Finding]:
    lac, lns = live.netns(ends.tunnel.lac), live.netns(ends.tunnel.lns)
    target, host = _far_end(live, ends)
    before = _tx_bytes(lac, ends)
    tunnel = iperf_tcp(lac, host, target, seconds=_SECONDS)
    grown = _tx_bytes(lac, ends) - before
    plain = iperf_tcp(lac, lns, ends.tunnel.lns_address, seconds=_SECONDS)
    share = 100 * tunnel.mbit_s / plain.mbit_s if plain.mbit_s else 0.0
    yield Finding(
        f"{ends.call.user}: TCP from {ends.tunnel.lac} to {target} arrives",
        tunnel.received_bytes > 0,
        f"{tunnel.mbit_s:.0f} Mbit/s through PPP beside {plain.mbit_s:.0f} Mbit/s over the plain "
        f"veth ({share:.0f} %), {_SECONDS} s each",
    )
    yield Finding(
        f"{ends.call.user}: it went out through the ppp interface",
        grown >= tunnel.received_bytes,
        f"{grown} bytes sent on {ends.lac['ppp']['interface']}, "
        f"{tunnel.received_bytes} of payload received",
    )


def _far_end(live: Live, ends: SessionEnds) -> tuple[str, str]:
    """Choose where TCP goes to and whose namespace that is: a host, or the LNS's end of PPP."""
    hosts = sorted(live.hosts(ends.call), key=lambda text: ip_address(text).version)
    if hosts:
        return hosts[0], live.netns(live.node_of(hosts[0]))
    peer = ends.lac["ppp"]["peer_ipv4"]
    if peer is None:
        raise CannotRun(
            f"{ends.call.user}'s call leads to no host, and link-local addresses are not tried; "
            "give it a route in the topology: l2tp.tunnels[].calls[].routes"
        )
    return peer, live.netns(ends.tunnel.lns)


def _tx_bytes(netns: str, ends: SessionEnds) -> int:
    name = ends.lac["ppp"]["interface"]
    return next(row.tx_bytes for row in interfaces(netns, "ppp") if row.name == name)
