"""What somebody between IPsec's ends gets to see, for the check of IPsec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.errors import CannotRun
from lab.instruments.capture import Capture
from lab.instruments.clear import count_clear
from lab.running.live import Live
from lab.scenarios.finding import Finding
from lab.topology import Node, Tunnel
from lab.topology.paths import nodes_on_the_way


def observer(live: Live, tunnel: Tunnel) -> str:
    """Choose the router that sees a tunnel as the LNS does: the last without NAT.

    Raises CannotRun where there is none.
    """
    routers = [node for node in _watchable(live, tunnel) if node.nat is None]
    if not routers:
        raise CannotRun(
            f"no router between {tunnel.lac} and {tunnel.lns} is without NAT and without tunnels "
            "in the clear, to watch from; add one to the topology"
        )
    return routers[-1].name


def observers(live: Live, tunnels: Sequence[Tunnel]) -> list[str]:
    """Name every router on the tunnels' ways: what leaves may come no further than to the first."""
    found = (node.name for tunnel in tunnels for node in _watchable(live, tunnel))
    return list(dict.fromkeys(found))


def _watchable(live: Live, tunnel: Tunnel) -> list[Node]:
    topology = live.topology
    unprotected = [other for other in topology.l2tp.tunnels if other.ipsec is None]
    with_others = {node.name for other in unprotected for node in nodes_on_the_way(topology, other)}
    return [
        node
        for node in nodes_on_the_way(topology, tunnel)
        if node.kind == "router" and node.name not in with_others
    ]


def nothing_clear(live: Live, captured: Capture, router: str, when: str) -> Iterator[Finding]:
    """End a capture at that router and say what of it was no IPsec, from and to whomever."""
    clear = count_clear(captured)
    yield Finding(
        f"{when}: nothing but IKE and ESP passed {router}", clear == 0, f"{clear} other packets"
    )
    port = live.topology.l2tp.port
    plain = captured.count("udp port", str(port))
    yield Finding(f"{when}: no L2TP in the clear (UDP {port})", plain == 0, f"{plain} datagrams")
