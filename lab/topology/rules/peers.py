"""Rules about xl2tpd as a node's daemon: where it may stand, and what it cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from lab.topology.draft import Draft
from lab.topology.lines import FieldPath
from lab.topology.rules.finding import Finding, Rule
from lab.topology.shape import PppShape

XL2TPD = "xl2tpd"
_ENDS = ("lac", "lns")


def _peers(draft: Draft) -> set[str]:
    return {node.name for node in draft.nodes.values() if node.daemon == XL2TPD}


def daemons_are_at_ends(draft: Draft) -> Iterator[Finding]:
    """Only a LAC or an LNS runs a daemon."""
    for i, node in draft.nodes.items():
        if node.daemon is not None and node.kind not in _ENDS:
            yield (
                ("nodes", i, "daemon"),
                f'"{node.name}" is of kind {node.kind}, and only a lac or an lns runs a daemon; '
                "take daemon out",
            )


def one_end_is_ours(draft: Draft) -> Iterator[Finding]:
    """A tunnel has a daemon of the lab's at one end, or nobody could tell of it."""
    peers = _peers(draft)
    for i, tunnel in draft.tunnels.items():
        if {tunnel.from_, tunnel.to} <= peers:
            yield (
                ("l2tp", "tunnels", i, "to"),
                f"both {tunnel.from_} and {tunnel.to} run xl2tpd, and a tunnel has one end of "
                "the lab's own; take daemon out at one of them",
            )


def what_xl2tpd_cannot(draft: Draft) -> Iterator[Finding]:
    """A tunnel with xl2tpd has no more than xl2tpd can do, and its LAC's one call."""
    peers = _peers(draft)
    owners = {user.name: user for user in draft.users.values() if user.ipv4 or user.ipv6}
    for i, tunnel in draft.tunnels.items():
        if not {tunnel.from_, tunnel.to} & peers:
            continue
        place: FieldPath = ("l2tp", "tunnels", i)
        if tunnel.over == "ipv6":
            yield (*place, "over"), "xl2tpd speaks L2TP over IPv4 only; take over out"
        if tunnel.ipsec is not None:
            yield (
                (*place, "ipsec"),
                "IPsec is set up between the lab's own daemons only; take ipsec out",
            )
        calls = sum(call.count or 1 for call in tunnel.calls)
        if tunnel.from_ in peers and calls != 1:
            yield (
                (*place, "calls"),
                f"xl2tpd's LAC has one call in each tunnel, and here are {calls}; "
                "write a tunnel for each",
            )
        for j, call in enumerate(tunnel.calls):
            if call.user in owners:
                yield (
                    (*place, "calls", j, "user"),
                    f'"{call.user}" has an address or a prefix of its own, of which xl2tpd knows '
                    "nothing; let another user call",
                )
            for k, route in enumerate(call.routes):
                if ip_network(route).version == 6:
                    yield (
                        (*place, "calls", j, "routes", k),
                        f"{route} is IPv6, for which a session with xl2tpd has no address; "
                        "take it out",
                    )


def xl2tpds_ppp_is_plain(draft: Draft) -> Iterator[Finding]:
    """What xl2tpd's pppds are told of PPP is its sizes, and CHAP; both families run."""
    if draft.ppp is None or not _peers(draft):
        return
    for name in ("ipv4", "ipv6", "dns", "idle_timeout_s", "session_timeout_s"):
        if getattr(draft.ppp, name) != PppShape.model_fields[name].default:
            yield (
                ("l2tp", "ppp", name),
                "a node runs xl2tpd, which is told nothing of this; take it out",
            )


def xl2tpd_asks_for_chap(draft: Draft) -> Iterator[Finding]:
    """An LNS that is xl2tpd is told to ask for CHAP, and for nothing else."""
    peers = _peers(draft)
    if draft.ppp is None or draft.ppp.auth == "chap":
        return
    for i, service in draft.lns.items():
        if service.node in peers:
            yield (
                ("l2tp", "lns", i, "node"),
                f"{service.node} runs xl2tpd, which the lab has ask for CHAP, and ppp.auth is "
                f"{draft.ppp.auth}; write auth: chap",
            )


def all_or_no_secrets(draft: Draft) -> Iterator[Finding]:
    """An xl2tpd challenges each of its peers or none."""
    for peer in sorted(_peers(draft)):
        tunnels = {i: t for i, t in draft.tunnels.items() if peer in (t.from_, t.to)}
        bare = [i for i, tunnel in tunnels.items() if tunnel.secret is None]
        if bare and len(bare) < len(tunnels):
            yield (
                ("l2tp", "tunnels", bare[0], "secret"),
                f"xl2tpd on {peer} challenges in every tunnel or in none; write a secret here too",
            )


RULES: tuple[Rule, ...] = (
    daemons_are_at_ends,
    one_end_is_ours,
    what_xl2tpd_cannot,
    xl2tpds_ppp_is_plain,
    xl2tpd_asks_for_chap,
    all_or_no_secrets,
)
