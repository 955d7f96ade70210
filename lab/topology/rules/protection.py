"""Rules about IPsec around tunnels, and NAT between their ends."""

from __future__ import annotations

from collections.abc import Iterator

from lab.topology.draft import Draft
from lab.topology.rules.finding import Finding, Rule, listed
from lab.topology.shape import IpsecShape


def one_way_to_prove(draft: Draft) -> Iterator[Finding]:
    """IPsec is by a pre-shared key or by certificates."""
    for i, tunnel in draft.tunnels.items():
        if tunnel.ipsec is not None and tunnel.ipsec.certificates == bool(tunnel.ipsec.psk):
            yield (
                ("l2tp", "tunnels", i, "ipsec"),
                'IPsec is either by a key or by certificates; write psk: "…" or certificates: true',
            )


def one_association_a_pair(draft: Draft) -> Iterator[Finding]:
    """All tunnels between the same two nodes run in one association."""
    first: dict[tuple[str, str], tuple[int, IpsecShape | None]] = {}
    for i, tunnel in draft.tunnels.items():
        earlier, ipsec = first.setdefault((tunnel.from_, tunnel.to), (i, tunnel.ipsec))
        if ipsec != tunnel.ipsec:
            yield (
                ("l2tp", "tunnels", i, "ipsec"),
                f"tunnels[{earlier}] between the same two has another ipsec, and both run in one "
                "association; write the same",
            )


def nat_is_on_the_way(draft: Draft) -> Iterator[Finding]:
    """A NAT is at a router, towards one of its neighbours."""
    for i, node in draft.nodes.items():
        if node.nat is None:
            continue
        neighbours = [
            end for link in draft.links.values() if node.name in link.ends for end in link.ends
        ]
        others = [name for name in neighbours if name != node.name]
        if node.kind != "router":
            yield (
                ("nodes", i, "nat"),
                f'"{node.name}" is of kind {node.kind}, and only a router translates addresses; '
                "take nat out, or put a router before it",
            )
        elif node.nat not in others:
            yield (
                ("nodes", i, "nat"),
                f'"{node.nat}" is no neighbour of {node.name}; its neighbours are {listed(others)}',
            )


RULES: tuple[Rule, ...] = (one_way_to_prove, one_association_a_pair, nat_is_on_the_way)
