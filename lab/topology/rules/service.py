"""Rules about the L2TP service: who may call whom, with what, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from lab.topology.counting import calls_of
from lab.topology.draft import Draft
from lab.topology.lines import FieldPath
from lab.topology.paths import find_path
from lab.topology.rules.finding import Finding, Rule


def kinds_fit(draft: Draft) -> Iterator[Finding]:
    """A tunnel runs from a LAC to an LNS, and an LNS has a service."""
    kinds = {node.name: node.kind for node in draft.nodes.values()}
    data = draft.document.data
    l2tp = data.get("l2tp") if isinstance(data, dict) else None
    listed = l2tp.get("lns") if isinstance(l2tp, dict) else None
    listed = listed if isinstance(listed, list) else []
    services = [s.get("node") for s in listed if isinstance(s, dict)]
    for i, tunnel in draft.tunnels.items():
        for key, name, kind in (("from", tunnel.from_, "lac"), ("to", tunnel.to, "lns")):
            if name in kinds and kinds[name] != kind:
                yield (
                    ("l2tp", "tunnels", i, key),
                    f'"{name}" is of kind {kinds[name]}; a tunnel runs from a lac to an lns, '
                    f"so write kind: {kind} at the node",
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


def one_secret_a_pair(draft: Draft) -> Iterator[Finding]:
    """An LNS knows a LAC by its host name, so all tunnels of the two share one secret."""
    first: dict[tuple[str, str], tuple[int, str | None]] = {}
    for i, tunnel in draft.tunnels.items():
        earlier, secret = first.setdefault((tunnel.from_, tunnel.to), (i, tunnel.secret))
        if secret != tunnel.secret:
            yield (
                ("l2tp", "tunnels", i, "secret"),
                f"tunnels[{earlier}] between the same two has another secret, and an LNS has one "
                f"for each LAC; write the same",
            )


def calls_fit_the_pool(draft: Draft) -> Iterator[Finding]:
    """A pool has an address for every call."""
    for i, service in draft.lns.items():
        calls = sum(calls_of(t) for t in draft.tunnels.values() if t.to == service.node)
        own = {user.ipv4 for user in draft.users.values() if _is_in(user.ipv4, service.pool)}
        # All but network, broadcast, the LNS, and what belongs to certain users.
        room = max(0, ip_network(service.pool).num_addresses - 3 - len(own))
        if calls > room:
            yield (
                ("l2tp", "lns", i, "pool"),
                f"{calls} calls come to {service.node}, and {service.pool} has addresses for "
                f"{room}; take a larger pool",
            )


def _is_in(address: str | None, pool: str) -> bool:
    return address is not None and ip_address(address) in ip_network(pool)


def one_call_a_user_with_own_addresses(draft: Draft) -> Iterator[Finding]:
    """A user's address or prefix leads to one session, so such a user calls once."""
    owners = {user.name for user in draft.users.values() if user.ipv4 or user.ipv6}
    seen: dict[str, str] = {}
    for i, tunnel in draft.tunnels.items():
        for j, call in enumerate(tunnel.calls):
            place: FieldPath = ("l2tp", "tunnels", i, "calls", j, "user")
            if call.user in owners and call.user in seen:
                yield (
                    place,
                    f'"{call.user}" calls in {seen[call.user]} already, and its own address or '
                    f"prefix can lead to one session only; let another user call",
                )
            elif call.user in owners and (tunnel.count or 1) > 1:
                yield (
                    place,
                    f'"{call.user}" calls in each of {tunnel.count} tunnels, and its own address '
                    f"or prefix can lead to one session only; let another user call",
                )
            seen.setdefault(call.user, f"tunnels[{i}].calls[{j}]")


def no_tunnel_in_itself(draft: Draft) -> Iterator[Finding]:
    """A call's routes do not contain the LNS, or the tunnel would run through itself."""
    links = list(draft.links.values())
    for i, tunnel in draft.tunnels.items():
        path = find_path(links, tunnel.from_, tunnel.to)
        peers = path[-1].addresses.get(tunnel.to, []) if path else []
        for j, call in enumerate(tunnel.calls):
            for k, route in enumerate(call.routes):
                inside = [peer for peer in peers if ip_address(peer) in ip_network(route)]
                if inside:
                    yield (
                        ("l2tp", "tunnels", i, "calls", j, "routes", k),
                        f"{route} contains {inside[0]}, the tunnel's own end, so the tunnel would "
                        f"run through itself; write prefixes without it",
                    )


RULES: tuple[Rule, ...] = (
    kinds_fit,
    one_secret_a_pair,
    calls_fit_the_pool,
    one_call_a_user_with_own_addresses,
    no_tunnel_in_itself,
)
