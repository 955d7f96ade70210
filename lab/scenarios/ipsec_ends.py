"""Tunnels die with their associations, by a cut way and by IPsec's end alone, and come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from lab.errors import CannotRun
from lab.instruments.capture import Capture, capture
from lab.instruments.kernelview import associations, l2tp_objects, run_in
from lab.instruments.nftables import counted
from lab.instruments.ping import ping
from lab.running.changes import Changes
from lab.running.charon import association_ended
from lab.running.dialling import dial_missing, wait_for_sessions, wait_until_released
from lab.running.ipsec import protected_nodes
from lab.running.live import Live, SessionEnds
from lab.running.packet_filters import GUARD, USERS
from lab.scenarios.finding import Finding
from lab.scenarios.outsider import nothing_clear, observer, observers
from lab.topology import Tunnel
from lab.topology.paths import way_of
from lab.waiting import wait_for

#: IKE's retransmissions and L2TP's together, in seconds on an ordinary box.
_PATIENCE_S = 60.0

#: Where no answer can come, none is waited for; whether anything left, the captures tell.
_SOON_S = 1.0

Tunnels = Sequence[Tunnel]


def deaths_and_returns(live: Live, tunnels: Tunnels) -> Iterator[Finding]:
    """Try both deaths: at once where there are several tunnels, else one after the other."""
    if len(tunnels) > 1:
        yield from _death_and_return(live, cut=tunnels[:1], ended=tunnels[1:])
    else:
        yield from _death_and_return(live, cut=tunnels, ended=())
        yield from _death_and_return(live, cut=(), ended=tunnels)


def _death_and_return(live: Live, *, cut: Tunnels, ended: Tunnels) -> Iterator[Finding]:
    tunnels = (*cut, *ended)
    before = live.sessions()
    with ExitStack() as watching:
        captured = {
            router: watching.enter_context(capture(live.netns(router)))
            for router in observers(live, tunnels)
        }
        with ExitStack() as deaths:
            for tunnel in cut:
                deaths.enter_context(_cut(live, tunnel))
            heard = [deaths.enter_context(_heard_by(live, tunnel)) for tunnel in ended]
            for tunnel in ended:
                deaths.enter_context(association_ended(live, tunnel))
                yield from _without_association(live, tunnel, before)
            yield from _all_dead(live, cut, ended)
            yield from _no_way_around(live, tunnels)
            for tunnel, answers in zip(ended, heard, strict=True):
                yield from _way_is_open(tunnel, answers)
        dial_missing(live)
        sessions = wait_for_sessions(live)
        yield Finding(
            "with both mended, a new call brings association, tunnel and session back",
            len(sessions) == len(before)
            and all(associations(live.netns(tunnel.lac)) for tunnel in tunnels),
            f"{len(sessions)} of {len(before)} sessions are up again",
        )
        for router, seen in captured.items():
            yield from nothing_clear(live, seen, router, "dead and alive")


@contextmanager
def _cut(live: Live, tunnel: Tunnel) -> Iterator[None]:
    """Have the router forward nothing from or to the tunnel's LAC."""
    router, interface = _towards_lac(live, tunnel)
    table = "inet l2tp_lab_cut"
    rules = f'iifname "{interface}" drop; oifname "{interface}" drop;'
    chain = f"chain cut {{ type filter hook forward priority 0; {rules} }}"
    done = run_in(live.netns(router), ["nft", f"table {table} {{ {chain}; }}"])
    if done.returncode:
        raise CannotRun(f"nft: {done.stderr.strip()}")
    try:
        yield
    finally:
        run_in(live.netns(router), ["nft", f"delete table {table}"])


def _heard_by(live: Live, tunnel: Tunnel) -> AbstractContextManager[Capture]:
    router, interface = _towards_lac(live, tunnel)
    return capture(live.netns(router), interface)


def _towards_lac(live: Live, tunnel: Tunnel) -> tuple[str, str]:
    router = observer(live, tunnel)
    ends = [end for link in way_of(live.topology, tunnel) for end in link.ends]
    return router, next(end.interface for end in ends if end.node == router)


def _without_association(
    live: Live, tunnel: Tunnel, sessions: Sequence[SessionEnds]
) -> Iterator[Finding]:
    """Try both directions while L2TP still knows of nothing."""
    lac, lns = live.netns(tunnel.lac), live.netns(tunnel.lns)
    wait_for(
        lambda: not associations(lac),
        f"the end of the association on {tunnel.lac}",
        deadline_s=_PATIENCE_S,
    )
    already = counted(lns, GUARD, "out")
    for ends in sessions:
        if ends.tunnel == tunnel:
            target = live.targets(ends)[0]
            answer = ping(
                lac, target, count=1, interface=ends.lac["ppp"]["interface"], wait_s=_SOON_S
            )
            yield Finding(
                f"{ends.call.user}: without the association no ping to {target} is answered",
                answer.received == 0,
                f"{answer.received} of {answer.transmitted}",
            )
            interface = ends.lns["ppp"]["interface"]
            ping(lns, ends.lns["ppp"]["peer_ipv4"], count=1, interface=interface, wait_s=_SOON_S)
    dropped = counted(lns, GUARD, "out") - already
    yield Finding(
        f"{tunnel.name}: the filter of {tunnel.lns} drops L2TP that would leave outside of IPsec",
        dropped > 0,
        f"{dropped} packets by its counter",
    )


def _all_dead(live: Live, cut: Tunnels, ended: Tunnels) -> Iterator[Finding]:
    nodes = [node.name for node in protected_nodes(live.topology)]
    how = [f"dead-peer detection for {tunnel.name}, whose way is cut" for tunnel in cut]
    how += [f"{tunnel.lns} for {tunnel.name}" for tunnel in ended]
    with Changes(live) as changes:
        wait_for(
            lambda: not any(associations(live.netns(node)) for node in nodes),
            "the end of every association",
            deadline_s=_PATIENCE_S,
            pause=changes.pause,
        )
        yield Finding(
            f"the associations are ended: by {', by '.join(how)}",
            True,
            f"none in the kernel on {', '.join(nodes)} (xfrm)",
        )
        wait_for(
            lambda: not any(_has_l2tp(live, node) for node in nodes),
            "the end of every tunnel whose association is gone",
            deadline_s=_PATIENCE_S,
            pause=changes.pause,
        )
    yield Finding(
        "the tunnels and sessions end with them",
        not any(associations(live.netns(node)) for node in nodes),
        f"none in the driver on {', '.join(nodes)} (netlink), and no association",
    )
    for node in nodes:
        wait_until_released(live, node)


def _has_l2tp(live: Live, node: str) -> bool:
    return any(l2tp_objects(live.netns(node)))


def _no_way_around(live: Live, tunnels: Tunnels) -> Iterator[Finding]:
    """Send what belongs into the sessions while there are none."""
    for tunnel in tunnels:
        lac = live.netns(tunnel.lac)
        for call in tunnel.calls:
            for target in live.hosts(call):
                already = counted(lac, GUARD, USERS)
                answer = ping(lac, target, count=1, wait_s=_SOON_S)
                dropped = counted(lac, GUARD, USERS) - already
                yield Finding(
                    f"{call.user}: without a session no ping to {target} is answered",
                    answer.received == 0,
                    f"{answer.received} of {answer.transmitted}, {dropped} dropped by the filter",
                )


def _way_is_open(tunnel: Tunnel, heard: Capture) -> Iterator[Finding]:
    """Tell by IKE's first answers, exchange type 34 (RFC 7296 §3.1)."""
    answers = heard.count(f"src host {tunnel.lns_address} and udp src port 500 and udp[26] == 34")
    yield Finding(
        f"{tunnel.name}: its way was open all the time, and the LNS answers IKE",
        answers > 0,
        f"{answers} first answers of {tunnel.lns}",
    )
