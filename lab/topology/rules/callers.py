"""Rules about what PPP gives: address families, addresses of a user's own, prefixes, sizes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from lab.topology.counting import counted_users, tunnel_names
from lab.topology.draft import Draft
from lab.topology.lines import FieldPath
from lab.topology.rules.finding import Finding, Rule
from lab.topology.rules.ways import IPV6_LEAST_MTU

_SLAAC_LENGTH = 64
"""What an address can be formed in (RFC 4862 §5.5.3)."""


def a_family_at_least(draft: Draft) -> Iterator[Finding]:
    """PPP carries IPv4 or IPv6, and IPv6 needs its least MTU; name servers are IPv4's."""
    ppp = draft.ppp
    if ppp is None:
        return
    if not (ppp.ipv4 or ppp.ipv6):
        yield (
            ("l2tp", "ppp", "ipv6"),
            "without IPv4 and IPv6 a session carries nothing; let one be true",
        )
    if ppp.ipv6 and ppp.mtu < IPV6_LEAST_MTU:
        yield (
            ("l2tp", "ppp", "mtu"),
            f"{ppp.mtu} is too small for IPv6, which needs {IPV6_LEAST_MTU}; raise it, "
            "or write ipv6: false",
        )
    for k, server in enumerate(ppp.dns):
        if ip_address(server).version != 4:
            yield ("l2tp", "ppp", "dns", k), "IPCP names IPv4 addresses only (RFC 1877)"
    if ppp.dns and not ppp.ipv4:
        yield ("l2tp", "ppp", "dns"), "name servers come with IPv4; take them out, or ipv4: false"


def no_family_that_is_off(draft: Draft) -> Iterator[Finding]:
    """Nobody has addresses or routes of a family that PPP does not carry."""
    if draft.ppp is None:
        return
    carried = {4: draft.ppp.ipv4, 6: draft.ppp.ipv6}
    for path, version in _uses(draft):
        if not carried[version]:
            yield (
                path,
                f"PPP carries no IPv{version} here; take it out, or write ipv{version}: true",
            )


def _uses(draft: Draft) -> Iterator[tuple[FieldPath, int]]:
    for i, user in draft.users.items():
        if user.ipv4:
            yield ("l2tp", "users", i, "ipv4"), 4
        if user.ipv6:
            yield ("l2tp", "users", i, "ipv6"), 6
    for i, tunnel in draft.tunnels.items():
        for j, call in enumerate(tunnel.calls):
            for k, route in enumerate(call.routes):
                yield ("l2tp", "tunnels", i, "calls", j, "routes", k), ip_network(route).version


def own_things_need_a_name(draft: Draft) -> Iterator[Finding]:
    """An LNS knows whose address or prefix it is by authentication alone."""
    if draft.ppp is None or draft.ppp.auth != "none":
        return
    for i, user in draft.users.items():
        for key in ("ipv4", "ipv6"):
            if getattr(user, key):
                yield (
                    ("l2tp", "users", i, key),
                    "with auth: none an LNS never learns who calls; take this out, "
                    "or choose another auth",
                )


def own_addresses_fit(draft: Draft) -> Iterator[Finding]:
    """A user's own IPv4 address is of the pool, and nobody else's."""
    pools = [service.pool for service in draft.lns.values()]
    holders = {service.address: service.node for service in draft.lns.values()}
    for i, user in draft.users.items():
        if user.ipv4 is None:
            continue
        place: FieldPath = ("l2tp", "users", i, "ipv4")
        if ip_address(user.ipv4).version != 4:
            yield place, f"{user.ipv4} is no IPv4 address; IPv6 is written as ipv6: {{prefix: …}}"
        elif not any(ip_address(user.ipv4) in ip_network(pool) for pool in pools):
            yield (
                place,
                f"{user.ipv4} is in no pool, so nothing behind the LNS has a route to it; "
                f"choose one of {', '.join(pools) or 'a pool'}",
            )
        elif user.ipv4 in holders:
            yield place, f"{user.ipv4} belongs to {holders[user.ipv4]} already; choose another"
        holders.setdefault(user.ipv4, user.name)


def advertised_prefixes_fit(draft: Draft) -> Iterator[Finding]:
    """An address can be formed in an advertised prefix."""
    for i, user in draft.users.items():
        if user.ipv6 and user.ipv6.address is None:
            length = ip_network(user.ipv6.prefix).prefixlen
            if length != _SLAAC_LENGTH:
                yield (
                    ("l2tp", "users", i, "ipv6", "prefix"),
                    f"without an address the prefix is advertised, and must be a "
                    f"/{_SLAAC_LENGTH} (RFC 4862); write one, or the LAC's address",
                )


def counted_users_are_new(draft: Draft) -> Iterator[Finding]:
    """Who stands in for a user that calls with a count has nobody else's name, nor his things."""
    counted = counted_users(draft.tunnels.values())
    there = {user.name for user in draft.users.values()}
    for i, user in draft.users.items():
        names = set(counted.get(user.name, []))
        for key in ("ipv4", "ipv6"):
            if names and getattr(user, key):
                yield (
                    ("l2tp", "users", i, key),
                    f'many call as "{user.name}" (count), and this is for one; take it out',
                )
        if taken := sorted(names & there):
            yield (
                ("l2tp", "users", i, "name"),
                f'"{user.name}" stands for {len(names)} numbered users, and there is a '
                f'"{taken[0]}" already; choose another name',
            )


def counted_tunnels_are_new(draft: Draft) -> Iterator[Finding]:
    """The numbered tunnels of an entry have nobody else's name."""
    owners: dict[str, int] = {}
    for i, tunnel in draft.tunnels.items():
        for name in tunnel_names(tunnel):
            j = owners.setdefault(name, i)
            if j != i and (tunnel.count or draft.tunnels[j].count):
                yield (
                    ("l2tp", "tunnels", i),
                    f'tunnel "{name}" is one of tunnels[{owners[name]}] already; '
                    "give one of the two another name",
                )


RULES: tuple[Rule, ...] = (
    a_family_at_least,
    no_family_that_is_off,
    own_things_need_a_name,
    own_addresses_fit,
    advertised_prefixes_fit,
    counted_users_are_new,
    counted_tunnels_are_new,
)
