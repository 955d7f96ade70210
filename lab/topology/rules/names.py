"""Rules about names: unique, existing, and fit for the kernel."""

from __future__ import annotations

from collections.abc import Iterator

from lab.topology.draft import Draft
from lab.topology.lines import FieldPath
from lab.topology.rules.finding import Finding, Rule, listed

INTERFACE_LENGTH = 15
"""IFNAMSIZ - 1 (include/uapi/linux/if.h)."""

TAKEN_INTERFACES = ("lo", "all", "default", "sit0", "ip6tnl0", "tunl0", "gre0", "ip6gre0")
"""Names that a namespace has itself, or that its sysctl folders have."""


def _unique(names: list[tuple[FieldPath, str]], what: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, name in names:
        if name in seen:
            yield path, f'{what} "{name}" is there already; choose another name'
        seen.add(name)


def unique(draft: Draft) -> Iterator[Finding]:
    """Nodes, users and LNS services are there once; so are tunnels, by name or by their ends."""
    yield from _unique([(("nodes", i, "name"), n.name) for i, n in draft.nodes.items()], "node")
    users: list[tuple[FieldPath, str]] = [
        (("l2tp", "users", i, "name"), user.name) for i, user in draft.users.items()
    ]
    yield from _unique(users, "user")
    services: list[tuple[FieldPath, str]] = [
        (("l2tp", "lns", i, "node"), service.node) for i, service in draft.lns.items()
    ]
    yield from _unique(services, "the service of")
    tunnels: list[tuple[FieldPath, str]] = [
        (("l2tp", "tunnels", i, "name"), tunnel.name or f"{tunnel.from_}-{tunnel.to}")
        for i, tunnel in draft.tunnels.items()
    ]
    yield from _unique(tunnels, "tunnel")


def nodes_exist(draft: Draft) -> Iterator[Finding]:
    """Whatever names a node names one that is there."""
    nodes = draft.names("nodes")
    for path, name in _node_references(draft):
        if name not in nodes:
            yield path, f'node "{name}" does not exist; nodes are {listed(nodes)}'


def _node_references(draft: Draft) -> Iterator[tuple[FieldPath, str]]:
    for i, link in draft.links.items():
        for j, end in enumerate(link.ends):
            yield ("links", i, "ends", j), end
    for i, service in draft.lns.items():
        yield ("l2tp", "lns", i, "node"), service.node
    for i, tunnel in draft.tunnels.items():
        yield ("l2tp", "tunnels", i, "from"), tunnel.from_
        yield ("l2tp", "tunnels", i, "to"), tunnel.to


def users_exist(draft: Draft) -> Iterator[Finding]:
    """Whoever calls is a user that is there."""
    users = draft.names("l2tp", "users")
    for i, tunnel in draft.tunnels.items():
        for j, call in enumerate(tunnel.calls):
            if call.user not in users:
                yield (
                    ("l2tp", "tunnels", i, "calls", j, "user"),
                    f'user "{call.user}" does not exist; users are {listed(users)}',
                )


def tables_name_ends(draft: Draft) -> Iterator[Finding]:
    """A link's tables go by its two ends, and both ends have addresses."""
    for i, link in draft.links.items():
        if link.ends[0] == link.ends[1]:
            yield (
                ("links", i, "ends", 1),
                f'both ends are "{link.ends[0]}"; a link joins two different nodes',
            )
        for table in ("addresses", "interfaces", "impairments"):
            for name in getattr(link, table):
                if name not in link.ends:
                    yield (
                        ("links", i, table, name),
                        f"this is no end of the link; its ends are {' and '.join(link.ends)}",
                    )
        for name in link.ends:
            if not link.addresses.get(name):
                yield ("links", i, "addresses"), f'"{name}" has no address here; add one'


def fit_for_interfaces(draft: Draft) -> Iterator[Finding]:
    """A node's name becomes its neighbours' interface, so it is one that the kernel takes."""
    for i, node in draft.nodes.items():
        reason = _unfit(node.name)
        if reason:
            yield (
                ("nodes", i, "name"),
                f'"{node.name}" would name an interface at its neighbours, {reason}; '
                f"choose another name",
            )
    used: dict[tuple[str, str], int] = {}
    for i, link in draft.links.items():
        for name, interface in link.interfaces.items():
            path: FieldPath = ("links", i, "interfaces", name)
            if reason := _unfit(interface):
                yield path, f'"{interface}" is no name for an interface, {reason}'
            if (name, interface) in used:
                yield (
                    path,
                    f'links[{used[name, interface]}] has "{interface}" at {name} already; '
                    f"choose another name",
                )
            used.setdefault((name, interface), i)


def _unfit(name: str) -> str:
    if len(name) > INTERFACE_LENGTH:
        return f"which has {len(name)} characters and may have {INTERFACE_LENGTH}"
    if name in TAKEN_INTERFACES or name.startswith("ppp"):
        return "which the kernel itself uses"
    return ""


def sysctls_are_network(draft: Draft) -> Iterator[Finding]:
    """Only settings under ``net.`` belong to a namespace; others would change the whole box."""
    for i, node in draft.nodes.items():
        for key in node.sysctls:
            if not key.startswith("net.") or "/" in key or ".." in key:
                yield (
                    ("nodes", i, "sysctls", key),
                    "a node has settings under net. only, written with dots, such as "
                    "net.ipv4.tcp_sack",
                )


RULES: tuple[Rule, ...] = (
    unique,
    nodes_exist,
    users_exist,
    tables_name_ends,
    fit_for_interfaces,
    sysctls_are_network,
)
