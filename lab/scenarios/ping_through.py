"""Do packets go through every session, and only through its tunnel?"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from lab.instruments.capture import Capture, capture
from lab.instruments.ping import ping
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding
from lab.scenarios.sample import sample
from lab.topology.paths import nodes_on_the_way

QUESTION = "Do packets reach the far side of every session, through the tunnel alone?"

_COUNT = 5


def run(live: Live) -> Iterator[Finding]:
    """Ping through every session; of many, through a sample while somebody watches the way."""
    sessions = live.sessions()
    closely = sample(sessions)
    for ends in closely:
        targets = live.targets(ends)
        # Between two neighbours there is nobody: what leaves the LAC is watched there.
        between = nodes_on_the_way(live.topology, ends.tunnel)
        watcher = between[-1].name if between else ends.tunnel.lac
        interface = "any" if between else live.link_of(ends.tunnel)
        with capture(live.netns(watcher), interface) as captured:
            for target in targets:
                yield _ping(live, ends, target, _COUNT)
            yield from _captured(live, ends, captured, watcher, 2 * _COUNT * len(targets))
    for ends in sessions:
        if ends not in closely:
            yield _ping(live, ends, live.targets(ends)[0], 1)


def _ping(live: Live, ends: SessionEnds, target: str, count: int) -> Finding:
    version = ip_address(target.partition("%")[0]).version
    result = ping(
        live.netns(ends.tunnel.lac), target, count=count, interface=ends.lac["ppp"]["interface"]
    )
    pings = f"{count} IPv{version} pings" if count > 1 else f"an IPv{version} ping"
    return Finding(
        f"{ends.call.user}: {pings} from {ends.tunnel.lac} to {target} "
        f"{'are' if count > 1 else 'is'} answered",
        result.received == count,
        f"{result.received} of {result.transmitted} answered"
        + (f", round trip {result.average_ms} ms on average" if result.received else ""),
    )


def _captured(
    live: Live, ends: SessionEnds, captured: Capture, watcher: str, expected: int
) -> Iterator[Finding]:
    # T bit clear in the first byte after the UDP header: an L2TP data message.
    port = live.topology.l2tp.port
    # tcpdump's udp[] is IPv4's; behind IPv6's header of 40 octets UDP's 8 come first, too.
    what, form = f"udp port {port} and udp[8] & 0x80 = 0", "L2TP data messages"
    if ":" in ends.tunnel.lac_address:
        what = f"ip6 and udp port {port} and ip6[48] & 0x80 = 0"
    if ends.tunnel.ipsec is not None:
        what, form = "esp or udp port 4500", "ESP packets"
    data = captured.count(what)
    yield Finding(
        f"{ends.call.user}: {watcher} saw them as {form} ({expected} or more)",
        data >= expected,
        f"{data} {form} in the capture",
    )
    inner = captured.count(" or ".join(f"net {prefix}" for prefix in _inner_prefixes(live, ends)))
    yield Finding(
        f"{ends.call.user}: no inner packet passed {watcher} outside the tunnel",
        inner == 0,
        f"{inner} packets from or to {', '.join(_inner_prefixes(live, ends))}",
    )


def _inner_prefixes(live: Live, ends: SessionEnds) -> list[str]:
    pools = [service.pool for service in live.topology.l2tp.lns]
    user = live.topology.user(ends.call.user)
    return [*ends.call.routes, *pools, *filter(None, [user.framed_ipv6_prefix])]
