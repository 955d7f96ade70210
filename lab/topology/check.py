"""Validates a topology file and normalises it; imported only when a file must be read.

Every error of the file is reported at once, each with file, line and field.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

from lab.errors import UsageError
from lab.topology import (
    AS_WRITTEN,
    OUR_DAEMON,
    Call,
    Counts,
    End,
    Impairment,
    Ipsec,
    L2tp,
    Link,
    LnsService,
    Node,
    Ppp,
    Route,
    Topology,
    Tunnel,
    User,
)
from lab.topology.counting import Callers, all_users, tunnel_names, with_counts
from lab.topology.draft import Draft, make_draft
from lab.topology.lines import read_document
from lab.topology.paths import find_path
from lab.topology.rules import RULES
from lab.topology.rules.ways import FORWARDING_KINDS
from lab.topology.shape import LinkShape, PppShape, TunnelShape


class TopologyError(UsageError):
    """The topology file is wrong; the text lists every error, a line each."""


def check_topology(
    path: Path, *, shown_as: str | None = None, counts: Counts = AS_WRITTEN
) -> Topology:
    """Read, validate and normalise the file ``path``; TopologyError lists what is wrong.

    ``shown_as`` is the file's name in messages, the path itself by default. ``counts`` stand in
    for the file's own; UsageError when it has none.
    """
    document = read_document(_read(path, shown_as or str(path)))
    with_counts(document.data, counts)
    draft = make_draft(document)
    for rule in RULES:
        for place, message in rule(draft):
            draft.complain(place, message)
    if draft.complaints:
        name = shown_as or str(path)
        raise TopologyError("\n".join(c.text(name) for c in sorted(set(draft.complaints))))
    return _normalise(draft)


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise TopologyError(f"{name}:{line}: this is not text in UTF-8") from error
    except OSError as error:
        raise TopologyError(f"{name} cannot be read: {error.strerror}") from error


def _normalise(draft: Draft) -> Topology:
    if draft.top is None or draft.l2tp is None or draft.ppp is None:
        raise TopologyError("the topology was not understood")  # unreachable without complaints
    interfaces = _interfaces(list(draft.links.values()))
    callers = Callers(draft.tunnels.values())
    return Topology(
        name=draft.top.name,
        about=draft.top.about,
        nodes=tuple(
            Node(
                name=node.name,
                kind=node.kind,
                forwarding=(
                    node.kind in FORWARDING_KINDS if node.forwarding is None else node.forwarding
                ),
                routes=tuple(Route(route.to, route.via) for route in node.routes),
                sysctls=tuple((key, str(value)) for key, value in node.sysctls.items()),
                nat=_towards(node.nat, node.name, list(draft.links.values()), interfaces),
                daemon=node.daemon or OUR_DAEMON,
            )
            for node in draft.nodes.values()
        ),
        links=tuple(_link(link, interfaces[i]) for i, link in draft.links.items()),
        l2tp=L2tp(
            port=draft.l2tp.port,
            ppp=_ppp(draft.ppp),
            users=tuple(
                User(
                    user.name,
                    user.password,
                    user.ipv6.prefix if user.ipv6 else None,
                    user.ipv6.address if user.ipv6 else None,
                    user.ipv4,
                )
                for user in all_users(draft.users.values(), list(draft.tunnels.values()))
            ),
            lns=tuple(LnsService(s.node, s.pool, s.address) for s in draft.lns.values()),
            tunnels=tuple(
                _tunnel(tunnel, name, draft, callers)
                for tunnel in draft.tunnels.values()
                for name in tunnel_names(tunnel)
            ),
        ),
    )


def _ppp(ppp: PppShape) -> Ppp:
    fields = ppp.model_dump()
    return Ppp(**{**fields, "mru": ppp.mru or ppp.mtu, "dns": tuple(ppp.dns)})


def _interfaces(links: list[LinkShape]) -> list[dict[str, str]]:
    """Name each end's interface after the neighbour, with a number from the second link on."""
    used: dict[str, set[str]] = {}
    names: list[dict[str, str]] = []
    for link in links:
        chosen = {}
        for name, other in (link.ends, link.ends[::-1]):
            taken = used.setdefault(name, set())
            interface = link.interfaces.get(name) or _free(other, taken)
            taken.add(interface)
            chosen[name] = interface
        names.append(chosen)
    return names


def _towards(
    neighbour: str | None, node: str, links: list[LinkShape], interfaces: list[dict[str, str]]
) -> str | None:
    """Name the interface of ``node`` on its first link to a neighbour."""
    for link, names in zip(links, interfaces, strict=True):
        if neighbour is not None and {node, neighbour} == set(link.ends):
            return names[node]
    return None


def _free(wish: str, taken: set[str]) -> str:
    name, number = wish, 2
    while name in taken:
        suffix = str(number)
        name, number = wish[: 15 - len(suffix)] + suffix, number + 1
    return name


def _link(link: LinkShape, interfaces: dict[str, str]) -> Link:
    first, second = (_end(link, name, interfaces[name]) for name in link.ends)
    return Link((first, second), tuple(link.prefixes), link.mtu)


def _end(link: LinkShape, name: str, interface: str) -> End:
    shape = link.impairments.get(name)
    impairment = Impairment(**shape.model_dump()) if shape else None
    if impairment == Impairment():
        impairment = None
    addresses = tuple(_with_length(text, link.prefixes) for text in link.addresses[name])
    return End(name, interface, addresses, impairment)


def _with_length(address: str, prefixes: list[str]) -> str:
    for prefix in prefixes:
        network = ip_network(prefix)
        if ip_address(address) in network:
            return f"{address}/{network.prefixlen}"
    raise TopologyError(f"{address} is in none of {prefixes}")  # a rule has excluded this


def _tunnel(tunnel: TunnelShape, name: str, draft: Draft, callers: Callers) -> Tunnel:
    path = find_path(list(draft.links.values()), tunnel.from_, tunnel.to)
    version = 6 if tunnel.over == "ipv6" else 4
    return Tunnel(
        name=name,
        lac=tunnel.from_,
        lns=tunnel.to,
        lac_address=_first(path[0].addresses[tunnel.from_], version),
        lns_address=_first(path[-1].addresses[tunnel.to], version),
        secret=tunnel.secret,
        calls=tuple(
            Call(user, tuple(call.routes)) for call in tunnel.calls for user in callers.of(call)
        ),
        ipsec=Ipsec(tunnel.ipsec.psk, tunnel.ipsec.dead_peer_s) if tunnel.ipsec else None,
    )


def _first(addresses: list[str], version: int) -> str:
    return next(text for text in addresses if ip_address(text).version == version)
