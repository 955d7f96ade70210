"""What must hold between the parts of a topology: names, addresses, ways, sizes; a rule a function.

Each rule looks at the sound items of a draft and complains about all that it finds. ``RULES`` is
the list; a rule never relies on another one having passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network

from lab.topology_draft import Draft
from lab.topology_lines import FieldPath
from lab.topology_paths import find_path

Finding = tuple[FieldPath, str]
Rule = Callable[[Draft, str], Iterator[Finding]]

INTERFACE_LENGTH = 15
"""IFNAMSIZ - 1 (include/uapi/linux/if.h)."""

TAKEN_INTERFACES = ("lo", "all", "default", "sit0", "ip6tnl0", "gre0", "tunl0")
"""Names that a namespace has itself, or that its sysctl folders have."""

IPV6_LEAST_MTU = 1280
"""RFC 8200 §5."""

OVERHEAD = {"ipv4": 42, "ipv6": 62}
"""Bytes around an inner packet: IP 20 or 40, UDP 8, L2TP 10 (with Ns and Nr), PPP 4."""


def _unique(names: list[tuple[FieldPath, str]], what: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, name in names:
        if name in seen:
            yield path, f'{what} "{name}" is there twice; give one of them another name'
        seen.add(name)


def _names_are_unique(draft: Draft, lab: str) -> Iterator[Finding]:
    yield from _unique([(("nodes", i, "name"), n.name) for i, n in draft.nodes.items()], "node")
    users = [(("l2tp", "users", i, "name"), u.name) for i, u in draft.users.items()]
    yield from _unique([*users], "user")
    services = [(("l2tp", "lns", i, "node"), s.node) for i, s in draft.lns.items()]
    yield from _unique([*services], "the LNS service of")
    tunnels = [(("l2tp", "tunnels", i, "name"), t.name) for i, t in draft.tunnels.items()]
    yield from _unique([(path, name) for path, name in tunnels if name], "tunnel")


def _nodes_exist(draft: Draft, lab: str) -> Iterator[Finding]:
    nodes = draft.names("nodes")
    for path, name in _node_references(draft):
        if name not in nodes:
            yield path, f'node "{name}" does not exist; nodes are {", ".join(nodes)}'


def _node_references(draft: Draft) -> Iterator[tuple[FieldPath, str]]:
    for i, link in draft.links.items():
        for j, end in enumerate(link.ends):
            yield ("links", i, "ends", j), end
    for i, service in draft.lns.items():
        yield ("l2tp", "lns", i, "node"), service.node
    for i, tunnel in draft.tunnels.items():
        yield ("l2tp", "tunnels", i, "from"), tunnel.from_
        yield ("l2tp", "tunnels", i, "to"), tunnel.to


def _link_tables_name_ends(draft: Draft, lab: str) -> Iterator[Finding]:
    for i, link in draft.links.items():
        if link.ends[0] == link.ends[1]:
            yield ("links", i, "ends"), f'both ends are "{link.ends[0]}"; a link joins two nodes'
        ends = " and ".join(link.ends)
        for table in ("addresses", "interfaces", "impairments"):
            for name in getattr(link, table):
                if name not in link.ends:
                    yield ("links", i, table, name), f"this is no end of the link; ends are {ends}"
        for name in link.ends:
            if name not in link.addresses:
                yield ("links", i, "addresses"), f'"{name}" has no address; add one'


def _names_fit(draft: Draft, lab: str) -> Iterator[Finding]:
    for i, node in draft.nodes.items():
        if node.name in TAKEN_INTERFACES or node.name.startswith("ppp"):
            yield (
                ("nodes", i, "name"),
                f'"{node.name}" would name an interface at its neighbours, and the kernel has '
                f"that name itself; choose another name",
            )
        if len(node.name) > INTERFACE_LENGTH:
            yield (
                ("nodes", i, "name"),
                f'"{node.name}" would name an interface at its neighbours and has '
                f"{len(node.name)} characters; {INTERFACE_LENGTH} are the most",
            )
    for i, link in draft.links.items():
        for name, interface in link.interfaces.items():
            if len(interface) > INTERFACE_LENGTH or interface in TAKEN_INTERFACES:
                yield (
                    ("links", i, "interfaces", name),
                    f'"{interface}" is no name for an interface: at most {INTERFACE_LENGTH} '
                    f"characters, and none of {', '.join(TAKEN_INTERFACES)}",
                )


def _prefixes_are_apart(draft: Draft, lab: str) -> Iterator[Finding]:
    prefixes: list[tuple[FieldPath, str, str]] = []
    for i, link in draft.links.items():
        for j, prefix in enumerate(link.prefixes):
            prefixes.append((("links", i, "prefixes", j), prefix, f"links[{i}]"))
    for i, service in draft.lns.items():
        prefixes.append((("l2tp", "lns", i, "pool"), service.pool, f"the pool of {service.node}"))
    for i, user in draft.users.items():
        if user.ipv6:
            prefixes.append(
                (
                    ("l2tp", "users", i, "ipv6", "prefix"),
                    user.ipv6.prefix,
                    f"the prefix of {user.name}",
                )
            )
    for index, (path, prefix, _) in enumerate(prefixes):
        network = ip_network(prefix)
        for _, other, owner in prefixes[:index]:
            earlier = ip_network(other)
            if network.version == earlier.version and network.overlaps(earlier):
                yield path, f"{prefix} overlaps {other}, {owner}; choose another prefix"


def _addresses_are_inside(draft: Draft, lab: str) -> Iterator[Finding]:
    for i, link in draft.links.items():
        networks = [ip_network(prefix) for prefix in link.prefixes]
        for name, addresses in link.addresses.items():
            for j, address in enumerate(addresses):
                if not any(ip_address(address) in network for network in networks):
                    yield (
                        ("links", i, "addresses", name, j),
                        f"{address} is in none of the link's prefixes; "
                        f"they are {', '.join(link.prefixes)}",
                    )
    for i, service in draft.lns.items():
        if ip_address(service.address) not in ip_network(service.pool):
            yield (
                ("l2tp", "lns", i, "address"),
                f"{service.address} is not in the pool {service.pool}",
            )
    for i, user in draft.users.items():
        if user.ipv6 and ip_address(user.ipv6.address) not in ip_network(user.ipv6.prefix):
            yield (
                ("l2tp", "users", i, "ipv6", "address"),
                f"{user.ipv6.address} is not in the user's prefix {user.ipv6.prefix}",
            )


def _addresses_are_unique(draft: Draft, lab: str) -> Iterator[Finding]:
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


def _versions_fit(draft: Draft, lab: str) -> Iterator[Finding]:
    for i, node in draft.nodes.items():
        for j, route in enumerate(node.routes):
            if ip_network(route.to).version != ip_address(route.via).version:
                yield (
                    ("nodes", i, "routes", j, "via"),
                    f"{route.via} and {route.to} are not of the same IP version",
                )
    for i, service in draft.lns.items():
        if ip_network(service.pool).version != 4:
            yield ("l2tp", "lns", i, "pool"), "a pool holds IPv4 addresses; IPv6 goes by user"
    for i, user in draft.users.items():
        if user.ipv6 and ip_network(user.ipv6.prefix).version != 6:
            yield ("l2tp", "users", i, "ipv6", "prefix"), "write an IPv6 prefix here"


def _next_hops_are_neighbours(draft: Draft, lab: str) -> Iterator[Finding]:
    for i, node in draft.nodes.items():
        hops = {
            address
            for link in draft.links.values()
            if node.name in link.ends
            for end, addresses in link.addresses.items()
            if end != node.name
            for address in addresses
        }
        for j, route in enumerate(node.routes):
            if str(ip_address(route.via)) not in hops:
                known = ", ".join(sorted(hops)) or "none, since it has no link"
                yield (
                    ("nodes", i, "routes", j, "via"),
                    f"{route.via} is not a neighbour's address; those of {node.name} are {known}",
                )


def _kinds_fit(draft: Draft, lab: str) -> Iterator[Finding]:
    kinds = {node.name: node.kind for node in draft.nodes.values()}
    services = {service.node for service in draft.lns.values()}
    for i, tunnel in draft.tunnels.items():
        for key, name, kind in (("from", tunnel.from_, "lac"), ("to", tunnel.to, "lns")):
            if name in kinds and kinds[name] != kind:
                yield (
                    ("l2tp", "tunnels", i, key),
                    f'"{name}" is of kind {kinds[name]}; a tunnel runs from a lac to an lns',
                )
        if kinds.get(tunnel.to) == "lns" and tunnel.to not in services:
            yield (
                ("l2tp", "tunnels", i, "to"),
                f'"{tunnel.to}" has no service; add it to l2tp.lns with its pool and address',
            )
    for i, service in draft.lns.items():
        if service.node in kinds and kinds[service.node] != "lns":
            yield (
                ("l2tp", "lns", i, "node"),
                f'"{service.node}" is of kind {kinds[service.node]}; write kind: lns at the node',
            )


def _users_exist(draft: Draft, lab: str) -> Iterator[Finding]:
    users = draft.names("l2tp", "users")
    calls: dict[str, int] = {}
    for i, tunnel in draft.tunnels.items():
        for j, call in enumerate(tunnel.calls):
            path: FieldPath = ("l2tp", "tunnels", i, "calls", j, "user")
            if call.user not in users:
                known = ", ".join(users) or "none yet"
                yield path, f'user "{call.user}" does not exist; users are {known}'
            calls[tunnel.to] = calls.get(tunnel.to, 0) + 1
    for i, service in draft.lns.items():
        room = ip_network(service.pool).num_addresses - 3  # network, broadcast, the LNS itself
        if calls.get(service.node, 0) > room:
            yield (
                ("l2tp", "lns", i, "pool"),
                f"{calls[service.node]} calls come to {service.node}, and {service.pool} has "
                f"addresses for {max(room, 0)}; take a larger pool",
            )


def _tunnels_have_a_way(draft: Draft, lab: str) -> Iterator[Finding]:
    links = list(draft.links.values())
    for i, tunnel in draft.tunnels.items():
        if len(links) != len(draft.document.data.get("links", [])):
            return  # a link with another fault may be the missing one
        path = find_path(links, tunnel.from_, tunnel.to)
        if not path:
            yield (
                ("l2tp", "tunnels", i),
                f"no links lead from {tunnel.from_} to {tunnel.to}; add those that are missing",
            )
            continue
        for key, name, link in (("from", tunnel.from_, path[0]), ("to", tunnel.to, path[-1])):
            version = 6 if tunnel.over == "ipv6" else 4
            addresses = link.addresses.get(name, [])
            if not any(ip_address(address).version == version for address in addresses):
                yield (
                    ("l2tp", "tunnels", i, key),
                    f'"{name}" has no {tunnel.over} address on the way to the other end; '
                    f"add one to its link, or choose another: over: ipv4|ipv6",
                )


def _sizes_fit(draft: Draft, lab: str) -> Iterator[Finding]:
    for i, link in draft.links.items():
        has_ipv6 = any(ip_network(prefix).version == 6 for prefix in link.prefixes)
        if has_ipv6 and link.mtu < IPV6_LEAST_MTU:
            yield (
                ("links", i, "mtu"),
                f"{link.mtu} is too small for IPv6, which needs {IPV6_LEAST_MTU}; "
                f"raise it, or take the IPv6 prefix away",
            )
    if draft.ppp is None:
        return
    for tunnel in draft.tunnels.values():
        path = find_path(list(draft.links.values()), tunnel.from_, tunnel.to)
        room = min((link.mtu for link in path), default=65535) - OVERHEAD[tunnel.over]
        if draft.ppp.mtu > room:
            yield (
                ("l2tp", "ppp", "mtu"),
                f"{draft.ppp.mtu} does not fit the way from {tunnel.from_} to {tunnel.to}: its "
                f"smallest link leaves {room} bytes inside IP, UDP, L2TP and PPP; write {room}",
            )


RULES: tuple[Rule, ...] = (
    _names_are_unique,
    _nodes_exist,
    _link_tables_name_ends,
    _names_fit,
    _prefixes_are_apart,
    _addresses_are_inside,
    _addresses_are_unique,
    _versions_fit,
    _next_hops_are_neighbours,
    _kinds_fit,
    _users_exist,
    _tunnels_have_a_way,
    _sizes_fit,
)
