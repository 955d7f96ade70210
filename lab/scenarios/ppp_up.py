"""Is PPP up on every session, with the addresses that it should have?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from lab.errors import LabError
from lab.instruments.kernelview import Interface, interfaces
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding
from lab.waiting import wait_for

QUESTION = "Is PPP up on every session, with the addresses that it should have?"

#: How long an address may take to be formed of an advertised prefix, in seconds (radvd sends the
#: first advertisement within 3 s, and the address is tentative for one more).
_PATIENCE_S = 10.0


def run(live: Live) -> Iterator[Finding]:
    """Ask netlink in both namespaces for each session's ppp interface."""
    wanted = [call for tunnel in live.topology.l2tp.tunnels for call in tunnel.calls]
    sessions = live.sessions()
    yield Finding(
        f"all sessions ({len(wanted)}) are established at both ends",
        len(sessions) == len(wanted),
        f"{len(sessions)} established",
    )
    there = {node: interfaces(live.netns(node), "ppp") for node in live.ends}
    for ends in sessions:
        yield from _session(live, ends, there)


def _session(
    live: Live, ends: SessionEnds, there: Mapping[str, Sequence[Interface]]
) -> Iterator[Finding]:
    user = ends.call.user
    lac = _named(there[ends.tunnel.lac], ends.lac["ppp"]["interface"])
    lns = _named(there[ends.tunnel.lns], ends.lns["ppp"]["interface"])
    for side, found in (("LAC", lac), ("LNS", lns)):
        yield Finding(
            f"{user}: the {side}'s ppp interface is up with MTU {live.topology.l2tp.ppp.mtu}",
            found is not None and found.is_up and found.mtu == live.topology.l2tp.ppp.mtu,
            _describe(found),
        )
    if lac is None or lns is None:
        return
    if live.topology.l2tp.ppp.ipv4:
        yield _from_the_pool(live, ends, lac, lns)
    if live.topology.l2tp.ppp.ipv6:
        yield Finding(
            f"{user}: IPV6CP gave both ends a link-local address",
            _link_local(lac) and _link_local(lns),
            f"{_describe(lac)}; {_describe(lns)}",
        )
    yield from _what_is_his_own(live, ends, lac)


def _from_the_pool(live: Live, ends: SessionEnds, lac: Interface, lns: Interface) -> Finding:
    service = next(row for row in live.topology.l2tp.lns if row.node == ends.tunnel.lns)
    pool = ip_network(service.pool)
    return Finding(
        f"{ends.call.user}: the LAC's end has an address of the pool {pool}, the LNS's has "
        f"{service.address}",
        any(_is_in(address, pool) and address != service.address for address in lac.addresses)
        and service.address in lns.addresses,
        f"{_ipv4(lac)} and {_ipv4(lns)}",
    )


def _what_is_his_own(live: Live, ends: SessionEnds, lac: Interface) -> Iterator[Finding]:
    """Look for what the topology gives to this user alone, and for what it gives to all."""
    user = live.topology.user(ends.call.user)
    if user.ipv4_address:
        yield Finding(
            f"{user.name}: the LAC's end has the user's own address {user.ipv4_address}",
            user.ipv4_address in lac.addresses,
            _ipv4(lac) or "no IPv4 address",
        )
    if user.has_advertised_prefix:
        prefix = ip_network(user.framed_ipv6_prefix or "")
        formed = _formed(live, ends, prefix)
        yield Finding(
            f"{user.name}: the LAC's end formed an address of {prefix}, which radvd advertises",
            formed != "",
            formed or "none",
        )
    if dns := live.topology.l2tp.ppp.dns:
        named = ends.lac["ppp"]["dns"]
        yield Finding(
            f"{user.name}: the LNS named the name servers {', '.join(dns)} (RFC 1877)",
            # One alone is pppd's answer to who asks for a second one.
            list(dict.fromkeys(named)) == list(dict.fromkeys(dns)),
            ", ".join(named) or "none",
        )


def _formed(live: Live, ends: SessionEnds, prefix: IPv4Network | IPv6Network) -> str:
    def look() -> str:
        there = interfaces(live.netns(ends.tunnel.lac), "ppp")
        found = _named(there, ends.lac["ppp"]["interface"])
        return next((text for text in found.addresses if _is_in(text, prefix)), "") if found else ""

    try:
        return wait_for(look, f"an address of {prefix}", deadline_s=_PATIENCE_S)
    except LabError:
        return ""


def _named(there: Sequence[Interface], name: str | None) -> Interface | None:
    return next((interface for interface in there if interface.name == name), None)


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
