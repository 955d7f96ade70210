"""Rules about the way of packets: neighbours, routes there and back, sizes, impairments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network

from lab.topology.draft import Draft
from lab.topology.lines import FieldPath
from lab.topology.paths import find_path
from lab.topology.rules.finding import Finding, Rule
from lab.topology.shape import LinkShape, NodeShape, TunnelShape

IPV6_LEAST_MTU = 1280
"""RFC 8200 §5."""

OVERHEAD = {"ipv4": 42, "ipv6": 62}
"""Bytes around an inner packet: IP 20 or 40, UDP 8, L2TP 10 (with Ns and Nr), PPP 4."""

PROTECTION = 45
"""Bytes that IPsec takes at most: behind a NAT UDP 8, ESP 8, initialisation vector 8, trailer 2,
padding 3, authentication tag 16 (RFC 3948, RFC 4303 §2, RFC 4106)."""

FORWARDING_KINDS = ("router", "lns")
"""The kinds of nodes that forward unless they say otherwise."""


def _links(draft: Draft) -> list[LinkShape] | None:
    """Give all links; None when one of them has another fault, since it may be the missing one."""
    data = draft.document.data
    listed = data.get("links", []) if isinstance(data, dict) else []
    count = len(listed) if isinstance(listed, list) else -1
    return list(draft.links.values()) if len(draft.links) == count else None


def nodes_are_linked(draft: Draft) -> Iterator[Finding]:
    """A node that no link touches is a mistake."""
    links = _links(draft)
    for i, node in draft.nodes.items():
        if links is not None and not any(node.name in link.ends for link in links):
            yield ("nodes", i), f'no link ends at "{node.name}"; join it to another, or take it out'


def next_hops_are_neighbours(draft: Draft) -> Iterator[Finding]:
    """A route's next hop is an address at the other end of one of the node's links."""
    links = _links(draft)
    for i, node in draft.nodes.items():
        hops = [hop for link in links or [] for hop in _neighbours(node.name, link)]
        for j, route in enumerate(node.routes):
            if links is not None and route.via not in hops:
                yield (
                    ("nodes", i, "routes", j, "via"),
                    f"{route.via} is no neighbour of {node.name}; "
                    f"its neighbours are {', '.join(hops) or 'none'}",
                )


def _neighbours(name: str, link: LinkShape) -> list[str]:
    if name not in link.ends:
        return []
    return [hop for end, hops in link.addresses.items() if end != name for hop in hops]


def tunnels_have_a_way(draft: Draft) -> Iterator[Finding]:
    """Links and routes lead from a tunnel's LAC to its LNS, and back."""
    links = _links(draft)
    nodes = {node.name: node for node in draft.nodes.values()}
    for i, tunnel in draft.tunnels.items():
        place: FieldPath = ("l2tp", "tunnels", i)
        if links is None or tunnel.from_ not in nodes or tunnel.to not in nodes:
            continue
        path = find_path(links, tunnel.from_, tunnel.to)
        if not path:
            yield place, f"no links lead from {tunnel.from_} to {tunnel.to}; add what is missing"
            continue
        ends = {tunnel.from_: path[0], tunnel.to: path[-1]}
        addresses = {name: _address(link, name, tunnel.over) for name, link in ends.items()}
        for key, name in (("from", tunnel.from_), ("to", tunnel.to)):
            if not addresses[name]:
                yield (
                    (*place, key),
                    f'"{name}" has no {tunnel.over} address on the way to the other end; add one '
                    f"to links[{links.index(ends[name])}], or choose another way: over",
                )
        if all(addresses.values()):
            there = (tunnel.from_, addresses[tunnel.to])
            back = (tunnel.to, _seen_from(tunnel, path, nodes) or addresses[tunnel.from_])
            for start, goal in (there, back):
                if message := _unrouted(start, goal, nodes, links):
                    yield place, message


def _address(link: LinkShape, name: str, over: str) -> str:
    version = 6 if over == "ipv6" else 4
    found = (text for text in link.addresses.get(name, []) if ip_address(text).version == version)
    return next(found, "")


def _seen_from(tunnel: TunnelShape, path: Sequence[LinkShape], nodes: dict[str, NodeShape]) -> str:
    """Give the address that the LNS sees the LAC by: that of the last NAT before it, if any."""
    here, seen = tunnel.from_, ""
    for link in path:
        there = link.ends[1] if link.ends[0] == here else link.ends[0]
        if here in nodes and nodes[here].nat == there:
            seen = _address(link, here, tunnel.over)
        here = there
    return seen


def _unrouted(
    start: str, goal: str, nodes: dict[str, NodeShape], links: Sequence[LinkShape]
) -> str:
    """Follow a packet from hop to hop; say where it would be lost, or nothing."""
    owners = {text: n for link in links for n, all_ in link.addresses.items() for text in all_}
    here, passed = start, [start]
    while here != owners[goal]:
        node = nodes.get(here)
        if node is None:
            return ""  # that node has another fault
        forwards = node.kind in FORWARDING_KINDS if node.forwarding is None else node.forwarding
        if here != start and not forwards:
            return f"{here} does not forward what {start} sends to {goal}; write forwarding: true"
        hop = _next_hop(node, goal, links)
        if hop is None:
            return f"{here} has no route to {goal}{_suggested(here, owners[goal], goal, links)}"
        here = owners.get(hop, "")
        if here in passed:
            return f"what {start} sends to {goal} runs in a circle at {here}; correct its routes"
        passed.append(here)
    return ""


def _next_hop(node: NodeShape, goal: str, links: Sequence[LinkShape]) -> str | None:
    address = ip_address(goal)
    for link in links:
        if node.name in link.ends and any(address in ip_network(p) for p in link.prefixes):
            return goal
    fitting = [route for route in node.routes if address in ip_network(route.to)]
    if not fitting:
        return None
    return max(fitting, key=lambda route: ip_network(route.to).prefixlen).via


def _suggested(here: str, end: str, goal: str, links: Sequence[LinkShape]) -> str:
    path = find_path(links, here, end)
    version = ip_address(goal).version
    hops = [hop for hop in _neighbours(here, path[0]) if ip_address(hop).version == version]
    prefixes = [p for link in path[-1:] for p in link.prefixes if ip_address(goal) in ip_network(p)]
    if not hops or not prefixes:
        return ""
    return f'; add to its routes: {{to: "{prefixes[0]}", via: "{hops[0]}"}}'


def sizes_fit(draft: Draft) -> Iterator[Finding]:
    """IPv6 fits every link that carries it, and PPP's packets fit the tunnel's way."""
    for i, link in draft.links.items():
        has_ipv6 = any(ip_network(prefix).version == 6 for prefix in link.prefixes)
        if has_ipv6 and link.mtu < IPV6_LEAST_MTU:
            yield (
                ("links", i, "mtu"),
                f"{link.mtu} is too small for IPv6, which needs {IPV6_LEAST_MTU}; "
                f"raise it, or take the IPv6 prefix away",
            )
    for tunnel in draft.tunnels.values():
        yield from _ppp_fits(draft, tunnel)


def _ppp_fits(draft: Draft, tunnel: TunnelShape) -> Iterator[Finding]:
    path = find_path(list(draft.links.values()), tunnel.from_, tunnel.to)
    room = min((link.mtu for link in path), default=65535) - OVERHEAD[tunnel.over]
    if tunnel.ipsec is not None:
        room -= PROTECTION
    if draft.ppp is not None and draft.ppp.mtu > room:
        yield (
            ("l2tp", "ppp", "mtu"),
            f"{draft.ppp.mtu} does not fit between {tunnel.from_} and {tunnel.to}, whose smallest "
            f"link leaves {room} bytes inside IP, UDP, L2TP and PPP; write {room} or less",
        )


def impairments_work(draft: Draft) -> Iterator[Finding]:
    """What netem refuses or ignores: jitter or reordering without a delay."""
    for i, link in draft.links.items():
        for name, impairment in link.impairments.items():
            place: FieldPath = ("links", i, "impairments", name)
            if impairment.reorder_percent and not impairment.delay_ms:
                yield (
                    (*place, "reorder_percent"),
                    "packets overtake only those that are delayed; add delay_ms",
                )
            if impairment.jitter_ms > impairment.delay_ms:
                yield (
                    (*place, "jitter_ms"),
                    f"a delay of {impairment.delay_ms:g} ms cannot vary by "
                    f"{impairment.jitter_ms:g} ms; raise delay_ms",
                )


RULES: tuple[Rule, ...] = (
    nodes_are_linked,
    next_hops_are_neighbours,
    tunnels_have_a_way,
    sizes_fit,
    impairments_work,
)
