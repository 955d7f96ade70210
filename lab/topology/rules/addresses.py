"""Rules about addresses and prefixes: inside, apart, and of one IP version."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from lab.topology.draft import Draft
from lab.topology.lines import FieldPath
from lab.topology.rules.finding import Finding, Rule


def prefixes_apart(draft: Draft) -> Iterator[Finding]:
    """No two of links' prefixes, pools and users' prefixes overlap."""
    prefixes = list(_prefixes(draft))
    for index, (path, prefix, _) in enumerate(prefixes):
        for _, other, owner in prefixes[:index]:
            network, earlier = ip_network(prefix), ip_network(other)
            if network.version == earlier.version and network.overlaps(earlier):
                yield path, f"{prefix} overlaps {other} of {owner}; choose another prefix"


def _prefixes(draft: Draft) -> Iterator[tuple[FieldPath, str, str]]:
    for i, link in draft.links.items():
        for j, prefix in enumerate(link.prefixes):
            yield ("links", i, "prefixes", j), prefix, f"links[{i}]"
    for i, service in draft.lns.items():
        yield ("l2tp", "lns", i, "pool"), service.pool, f"the pool of {service.node}"
    for i, user in draft.users.items():
        if user.ipv6:
            path: FieldPath = ("l2tp", "users", i, "ipv6", "prefix")
            yield path, user.ipv6.prefix, f"user {user.name}"


def addresses_inside(draft: Draft) -> Iterator[Finding]:
    """An address lies in a prefix of its link, pool or user, and is not a reserved one of it."""
    for i, link in draft.links.items():
        for name, addresses in link.addresses.items():
            for j, address in enumerate(addresses):
                where = f"the link's prefixes {', '.join(link.prefixes)}"
                message = _misplaced(address, link.prefixes, where)
                if message:
                    yield ("links", i, "addresses", name, j), message
    for i, service in draft.lns.items():
        message = _misplaced(service.address, [service.pool], f"the pool {service.pool}")
        if message:
            yield ("l2tp", "lns", i, "address"), message
    for i, user in draft.users.items():
        if user.ipv6 and user.ipv6.address:
            prefix = user.ipv6.prefix
            message = _misplaced(user.ipv6.address, [prefix], f"the user's prefix {prefix}")
            if message:
                yield ("l2tp", "users", i, "ipv6", "address"), message


def _misplaced(text: str, prefixes: list[str], where: str) -> str:
    address = ip_address(text)
    for prefix in prefixes:
        network = ip_network(prefix)
        if address in network:
            reserved = (network.network_address, network.broadcast_address)
            if address.version == 4 and network.prefixlen < 31 and address in reserved:
                return f"{text} is the network or broadcast address of {prefix}; choose another"
            return ""
    return f"{text} is not in {where}; choose one that is"


def addresses_unique(draft: Draft) -> Iterator[Finding]:
    """An address belongs to one end only."""
    owners: dict[str, str] = {}
    for i, link in draft.links.items():
        for name, addresses in link.addresses.items():
            for j, address in enumerate(addresses):
                if address in owners:
                    yield (
                        ("links", i, "addresses", name, j),
                        f"{address} belongs to {owners[address]} already; choose another address",
                    )
                owners.setdefault(address, name)


def versions_fit(draft: Draft) -> Iterator[Finding]:
    """IPv4 and IPv6 are not mixed within a route, and pools and users have their own kind."""
    for i, node in draft.nodes.items():
        for j, route in enumerate(node.routes):
            if ip_network(route.to).version != ip_address(route.via).version:
                yield (
                    ("nodes", i, "routes", j, "via"),
                    f"{route.via} is of another IP version than {route.to}; "
                    f"write a next hop of the same",
                )
    for i, service in draft.lns.items():
        if ip_network(service.pool).version != 4:
            yield (
                ("l2tp", "lns", i, "pool"),
                "a pool holds IPv4 addresses; IPv6 is given by user: users[].ipv6",
            )
    for i, user in draft.users.items():
        if user.ipv6 and ip_network(user.ipv6.prefix).version != 6:
            yield ("l2tp", "users", i, "ipv6", "prefix"), "write an IPv6 prefix here"


RULES: tuple[Rule, ...] = (prefixes_apart, addresses_inside, addresses_unique, versions_fit)
