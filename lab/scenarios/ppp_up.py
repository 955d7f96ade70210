"""Is PPP up on every session, with the addresses that it should have?"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from lab.instruments.kernelview import Interface, interfaces
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding

QUESTION = "Is PPP up on every session, with addresses of the pool?"


def run(live: Live) -> Iterator[Finding]:
    """Ask netlink in both namespaces for each session's ppp interface."""
    wanted = [call for tunnel in live.topology.l2tp.tunnels for call in tunnel.calls]
    sessions = live.sessions()
    yield Finding(
        f"all sessions ({len(wanted)}) are established at both ends",
        len(sessions) == len(wanted),
        f"{len(sessions)} established",
    )
    for ends in sessions:
        yield from _session(live, ends)


def _session(live: Live, ends: SessionEnds) -> Iterator[Finding]:
    user = ends.call.user
    lac = _interface(live, ends.tunnel.lac, ends.lac["ppp"]["interface"])
    lns = _interface(live, ends.tunnel.lns, ends.lns["ppp"]["interface"])
    for side, found in (("LAC", lac), ("LNS", lns)):
        yield Finding(
            f"{user}: the {side}'s ppp interface is up with MTU {live.topology.l2tp.ppp.mtu}",
            found is not None and found.is_up and found.mtu == live.topology.l2tp.ppp.mtu,
            _describe(found),
        )
    if lac is None or lns is None:
        return
    service = next(row for row in live.topology.l2tp.lns if row.node == ends.tunnel.lns)
    pool = ip_network(service.pool)
    yield Finding(
        f"{user}: the LAC's end has an address of the pool {pool}, the LNS's has {service.address}",
        any(_is_in(address, pool) and address != service.address for address in lac.addresses)
        and service.address in lns.addresses,
        f"{_ipv4(lac)} and {_ipv4(lns)}",
    )
    yield Finding(
        f"{user}: IPV6CP gave both ends a link-local address",
        _link_local(lac) and _link_local(lns),
        f"{_describe(lac)}; {_describe(lns)}",
    )


def _interface(live: Live, node: str, name: str | None) -> Interface | None:
    found = interfaces(live.netns(node), "ppp")
    return next((interface for interface in found if interface.name == name), None)


def _describe(interface: Interface | None) -> str:
    if interface is None:
        return "no such interface"
    state = "up" if interface.is_up else "down"
    return f"{interface.name} {state} mtu {interface.mtu} {' '.join(interface.addresses)}"


def _ipv4(interface: Interface) -> str:
    return " ".join(text for text in interface.addresses if ip_address(text).version == 4)


def _is_in(text: str, network: object) -> bool:
    return ip_address(text) in network  # type: ignore[operator]


def _link_local(interface: Interface) -> bool:
    return any(
        ip_address(text).version == 6 and ip_address(text).is_link_local
        for text in interface.addresses
    )
