"""Does every tunnel run inside IPsec, live and die with it, and what MTU remains?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.errors import CannotRun
from lab.instruments.capture import capture
from lab.instruments.kernelview import associations, run_in
from lab.instruments.ping import ping
from lab.running.ipsec import protected_tunnels
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding
from lab.scenarios.ipsec_ends import deaths_and_returns
from lab.scenarios.outsider import nothing_clear, observer
from lab.topology import Tunnel
from lab.topology.paths import nodes_on_the_way, way_of

QUESTION = "Does nothing leave unencrypted, and does a tunnel die and come back with IPsec?"

_COUNT = 3

# ESP 8, initialisation vector 8 and tag 16 of AES-GCM (RFC 4106); behind a NAT UDP's 8 (RFC 3948).
_ESP, _NAT_UDP, _TRAILER = 8 + 8 + 16, 8, 2
_IP, _UDP, _L2TP, _PPP = 20, 8, 6, 4


def run(live: Live) -> Iterator[Finding]:
    """Capture on the way while traffic flows, while the associations are dead, and afterwards."""
    tunnels = protected_tunnels(live.topology)
    if not tunnels:
        raise CannotRun("no tunnel of this lab is inside IPsec. Run: l2tp-lab up --topology vpn")
    holds = True
    for finding in _as_it_is(live, tunnels):
        holds &= finding.holds
        yield finding
    if holds:  # what runs in the clear neither dies nor comes back with an association
        yield from deaths_and_returns(live, tunnels)


def _as_it_is(live: Live, tunnels: tuple[Tunnel, ...]) -> Iterator[Finding]:
    for tunnel in tunnels:
        yield from _associated(live, tunnel)
    for ends in live.sessions():
        if ends.tunnel.ipsec is not None:
            yield from _encrypted(live, ends)
            yield from _remaining_mtu(live, ends)


def _associated(live: Live, tunnel: Tunnel) -> Iterator[Finding]:
    found = associations(live.netns(tunnel.lac))
    behind_nat = _is_behind_nat(live, tunnel)
    way = "ESP in UDP (NAT)" if behind_nat else "plain ESP"
    yield Finding(
        f"{tunnel.name}: {tunnel.lac} has an association in transport mode each way: {way}",
        len(found) == 2
        and all(one.mode == "transport" and one.in_udp is behind_nat for one in found),
        "; ".join(str(one) for one in found) or "none",
    )


def _is_behind_nat(live: Live, tunnel: Tunnel) -> bool:
    return any(node.nat is not None for node in nodes_on_the_way(live.topology, tunnel))


def _encrypted(live: Live, ends: SessionEnds) -> Iterator[Finding]:
    targets = live.targets(ends)
    router = observer(live, ends.tunnel)
    with capture(live.netns(router)) as captured:
        for target in targets:
            answer = ping(
                live.netns(ends.tunnel.lac),
                target,
                count=_COUNT,
                interface=ends.lac["ppp"]["interface"],
            )
            yield Finding(
                f"{ends.call.user}: {_COUNT} pings to {target} are answered through the tunnel",
                answer.received == _COUNT,
                f"{answer.received} of {answer.transmitted}",
            )
        behind_nat = _is_behind_nat(live, ends.tunnel)
        protected = "udp port 4500" if behind_nat else "esp"
        passed = captured.count("ip host", ends.tunnel.lns_address, "and", protected)
        yield Finding(
            f"{ends.call.user}: {router} saw them as {'UDP 4500' if behind_nat else 'ESP'}",
            passed >= 2 * _COUNT * len(targets),
            f"{passed} packets",
        )
        yield from nothing_clear(live, captured, router, ends.call.user)


def _remaining_mtu(live: Live, ends: SessionEnds) -> Iterator[Finding]:
    """Widen the interface for a moment, and see where its packets begin to leave in fragments."""
    netns = live.netns(ends.tunnel.lac)
    interface = str(ends.lac["ppp"]["interface"])
    targets = [target for target in live.targets(ends) if ":" not in target]
    if not targets:
        return
    room = _room(live, ends.tunnel)
    with _mtu_of(netns, interface, room + 1, live.topology.l2tp.ppp.mtu):
        for size, fragments_wanted in ((room, False), (room + 1, True)):
            with capture(live.netns(observer(live, ends.tunnel))) as captured:
                ping(netns, targets[0], count=1, interface=interface, size=size)
                source = captured.count(f"dst {ends.tunnel.lns_address} and ip[6:2] & 0x3fff != 0")
            yield Finding(
                f"{ends.call.user}: a packet of {size} bytes leaves "
                f"{'in fragments' if fragments_wanted else 'whole'} inside IPsec",
                bool(source) is fragments_wanted,
                f"{source} fragments towards the LNS",
            )
    yield Finding(
        f"{ends.call.user}: the sessions' MTU of {live.topology.l2tp.ppp.mtu} fits the {room} "
        "bytes that remain",
        live.topology.l2tp.ppp.mtu <= room,
        f"{_path_mtu(live, ends.tunnel)} on the way, {room} inside",
    )


def _path_mtu(live: Live, tunnel: Tunnel) -> int:
    return min(link.mtu for link in way_of(live.topology, tunnel))


def _room(live: Live, tunnel: Tunnel) -> int:
    """Return what ESP leaves: its payload and trailer fill multiples of 4 (RFC 4303 §2.4)."""
    nat = _NAT_UDP if _is_behind_nat(live, tunnel) else 0
    payload = (_path_mtu(live, tunnel) - _IP - nat - _ESP) // 4 * 4 - _TRAILER
    return payload - _UDP - _L2TP - _PPP


@contextmanager
def _mtu_of(netns: str, interface: str, mtu: int, afterwards: int) -> Iterator[None]:
    try:
        run_in(netns, ["ip", "link", "set", "dev", interface, "mtu", str(mtu)])
        yield
    finally:
        run_in(netns, ["ip", "link", "set", "dev", interface, "mtu", str(afterwards)])
