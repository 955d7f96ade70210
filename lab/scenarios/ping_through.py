"""Do packets go from the LAC to the host behind the LNS, and only through the tunnel?"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from lab.instruments.capture import Capture, capture
from lab.instruments.ping import ping
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding
from lab.topology.paths import nodes_on_the_way

QUESTION = "Do IPv4 and IPv6 reach the host behind the LNS, through the tunnel alone?"

_COUNT = 5


def run(live: Live) -> Iterator[Finding]:
    """Ping each session's targets while every router's interfaces are captured."""
    for ends in live.sessions():
        router = nodes_on_the_way(live.topology, ends.tunnel)[-1].name
        with capture(live.netns(router)) as captured:
            targets = list(live.targets(ends.call))
            for target in targets:
                yield _ping(live, ends, target)
            yield from _captured(live, ends, captured, router, 2 * _COUNT * len(targets))


def _ping(live: Live, ends: SessionEnds, target: str) -> Finding:
    version = ip_address(target).version
    result = ping(
        live.netns(ends.tunnel.lac), target, count=_COUNT, interface=ends.lac["ppp"]["interface"]
    )
    return Finding(
        f"{ends.call.user}: {_COUNT} IPv{version} pings from {ends.tunnel.lac} to {target} "
        "are answered",
        result.received == _COUNT,
        f"{result.received} of {result.transmitted} answered, "
        f"round trip {result.average_ms} ms on average",
    )


def _captured(
    live: Live, ends: SessionEnds, captured: Capture, router: str, expected: int
) -> Iterator[Finding]:
    # T bit clear in the first byte after the UDP header: an L2TP data message.
    what, form = f"udp port {live.topology.l2tp.port} and udp[8] & 0x80 = 0", "L2TP data messages"
    if ends.tunnel.ipsec is not None:
        what, form = "esp or udp port 4500", "ESP packets"
    data = captured.count(what)
    yield Finding(
        f"{ends.call.user}: {router} carried them as {form} ({expected} or more)",
        data >= expected,
        f"{data} {form} in the capture",
    )
    inner = captured.count(" or ".join(f"net {prefix}" for prefix in _inner_prefixes(live, ends)))
    yield Finding(
        f"{ends.call.user}: no inner packet crossed {router} outside the tunnel",
        inner == 0,
        f"{inner} packets from or to {', '.join(_inner_prefixes(live, ends))}",
    )


def _inner_prefixes(live: Live, ends: SessionEnds) -> list[str]:
    pools = [service.pool for service in live.topology.l2tp.lns]
    user = live.topology.user(ends.call.user)
    return [*ends.call.routes, *pools, *filter(None, [user.framed_ipv6_prefix])]
