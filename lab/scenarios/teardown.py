"""After hang-up, is anything left in either namespace?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lab.instruments.kernelview import (
    interfaces,
    l2tp_objects,
    pppol2tp_entries,
    processes,
    udp_sockets,
)
from lab.running.dialling import dial_missing, wait_for_sessions, wait_until_released
from lab.running.live import Live
from lab.running.peers import hang_up
from lab.scenarios.finding import Finding

QUESTION = "After hang-up, is no tunnel, session, ppp interface, socket or pppd left?"

#: What may be left of the UDP sockets of a node, by how many it may be.
_SOCKETS = ("no UDP socket is left", "no UDP socket but the listener's is left")


def run(live: Live) -> Iterator[Finding]:
    """Hang up every tunnel at its LAC, look at what the kernel still has, and dial again."""
    counted = len(live.sessions())
    for node in live.ends:
        if live.topology.node(node).kind == "lac":
            _hang_up(live, node)
    for node in live.ends:
        yield from _nothing_left(live, node)
    dial_missing(live)
    sessions = wait_for_sessions(live)
    yield Finding(
        "the same sessions come up again afterwards",
        len(sessions) == counted,
        f"{len(sessions)} of {counted} are up again",
    )


def _hang_up(live: Live, node: str) -> None:
    if node in live.peers:
        for tunnel in live.topology.tunnels_of(node):
            hang_up(live.folder, node, tunnel.name)
        return
    with live.daemon(node) as daemon:
        for tunnel in daemon.status()["tunnels"]:
            daemon.hangup(tunnel["local_tunnel_id"])


def _nothing_left(live: Live, node: str) -> Iterator[Finding]:
    netns = live.netns(node)
    wait_until_released(live, node)
    tunnels, sessions = l2tp_objects(netns)
    yield Finding(
        f"{node}: the driver has no tunnel and no session (netlink)",
        not tunnels and not sessions,
        f"{len(tunnels)} tunnels, {len(sessions)} sessions",
    )
    left = interfaces(netns, "ppp")
    yield Finding(f"{node}: no ppp interface", not left, _names(row.name for row in left))
    entries = pppol2tp_entries(netns)
    yield Finding(
        f"{node}: /proc/net/pppol2tp lists no tunnel and no session", not entries, _names(entries)
    )
    pids = processes(netns, "pppd")
    yield Finding(f"{node}: no pppd runs", not pids, _names(map(str, pids)))
    # xl2tpd listens as a LAC too.
    expected = 1 if live.topology.node(node).kind == "lns" or node in live.peers else 0
    sockets = udp_sockets(netns, live.topology.l2tp.port)
    yield Finding(
        f"{node}: {_SOCKETS[expected]} on port {live.topology.l2tp.port}",
        len(sockets) == expected,
        f"{len(sockets)} in /proc/net/udp",
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
