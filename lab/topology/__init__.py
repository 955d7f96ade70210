"""What a lab consists of: nodes, links, and the L2TP service on top; validated, frozen, pure.

A topology is read from YAML once (``load_topology``: every error at once, with its line), and kept
as JSON afterwards (``to_json``/``from_json``), so that later commands need neither pydantic nor a
YAML parser, which cost more than a second in an emulated machine. The topologies that come with the
lab have their validated form beside them, sealed with the hash of the YAML that it was made from.

The classes have no slots: making one with slots costs half as much again, and that is paid at every
start (docs/decisions/network.md).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from lab.errors import UsageError

TOPOLOGIES = Path(__file__).parent.parent / "topologies"
"""Where the topologies live that come with the lab."""

LAB_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,31}")

JSON_FORMAT = 4
"""Raised whenever the JSON form changes in a way that an older reader would misread."""


OUR_DAEMON = "l2tp-lab"
"""What a node's ``daemon`` is where it is one of ours."""


@dataclass(frozen=True)
class Route:
    """A static route of a node: ``to`` is a prefix, ``via`` the next hop's address."""

    to: str
    via: str


@dataclass(frozen=True)
class Node:
    """One network namespace. ``kind`` is lac, router, lns or host.

    ``daemon`` is who speaks L2TP on a lac or an lns: ``OUR_DAEMON``, or xl2tpd as a foreign peer.
    ``nat`` names the interface that it hides the senders behind of whatever it forwards there.
    """

    name: str
    kind: str
    forwarding: bool
    routes: tuple[Route, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    nat: str | None = None
    daemon: str = OUR_DAEMON


@dataclass(frozen=True)
class Impairment:
    """What netem does to packets that leave one end of a link; zero means untouched."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    duplicate_percent: float = 0.0
    corrupt_percent: float = 0.0
    reorder_percent: float = 0.0
    reorder_gap_packets: int = 0
    rate_kbit: int = 0
    limit_packets: int = 0


@dataclass(frozen=True)
class End:
    """One end of a link: an interface in a node's namespace, addresses as ``192.0.2.1/24``."""

    node: str
    interface: str
    addresses: tuple[str, ...]
    impairment: Impairment | None = None


@dataclass(frozen=True)
class Link:
    """A veth pair; ``mtu`` in bytes holds for both ends."""

    ends: tuple[End, End]
    prefixes: tuple[str, ...]
    mtu: int

    def end_of(self, node: str) -> End:
        """Give the end that sits in ``node``; KeyError when the link does not touch it."""
        for end in self.ends:
            if end.node == node:
                return end
        raise KeyError(node)


@dataclass(frozen=True)
class User:
    """A PPP user: what CHAP checks, its own IPv4 address, and the IPv6 prefix that the LNS routes
    to the session.

    Of that prefix the LAC holds ``ipv6_address``; without one the prefix is advertised (radvd).
    """

    name: str
    password: str
    framed_ipv6_prefix: str | None = None
    ipv6_address: str | None = None
    ipv4_address: str | None = None

    @property
    def has_advertised_prefix(self) -> bool:
        """Tell whether the LAC forms its address from a router advertisement (RFC 4862)."""
        return self.framed_ipv6_prefix is not None and self.ipv6_address is None


@dataclass(frozen=True)
class Ppp:
    """PPP on every session: MTU and MRU in bytes, the authentication that the LNS asks for.

    A time of 0 s is none. ``dns`` are the name servers that the LNS names.
    """

    mtu: int
    auth: str
    mru: int
    ipv4: bool = True
    ipv6: bool = True
    dns: tuple[str, ...] = ()
    idle_timeout_s: int = 0
    session_timeout_s: int = 0
    echo_interval_s: int = 30
    echo_failures: int = 4


@dataclass(frozen=True)
class LnsService:
    """What one LNS gives out: its own PPP address and the pool that clients draw from."""

    node: str
    pool: str
    address: str


@dataclass(frozen=True)
class Call:
    """One incoming call of a LAC: who calls, and what the LAC routes into the session."""

    user: str
    routes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ipsec:
    """A tunnel's way inside IPsec (RFC 3193): by a pre-shared key, or without one by certificates.

    ``dead_peer_s`` is after how much silence a peer is asked whether it lives.
    """

    psk: str | None
    dead_peer_s: int


@dataclass(frozen=True)
class Tunnel:
    """One tunnel from a LAC to an LNS, with the underlay addresses that it runs between."""

    name: str
    lac: str
    lns: str
    lac_address: str
    lns_address: str
    secret: str | None = None
    calls: tuple[Call, ...] = ()
    ipsec: Ipsec | None = None


@dataclass(frozen=True)
class L2tp:
    """The L2TP service: UDP port, PPP settings, users, LNSs and tunnels."""

    port: int
    ppp: Ppp
    users: tuple[User, ...]
    lns: tuple[LnsService, ...]
    tunnels: tuple[Tunnel, ...]


@dataclass(frozen=True)
class Topology:
    """A whole lab, validated and normalised."""

    name: str
    about: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    l2tp: L2tp

    def node(self, name: str) -> Node:
        """Give the node of that name; UsageError names those that exist."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise UsageError(f'topology {self.name} has no node "{name}"; its nodes are {names}')

    def user(self, name: str) -> User:
        """Give the user of that name; KeyError when there is none."""
        return {user.name: user for user in self.l2tp.users}[name]

    def tunnels_of(self, node: str) -> tuple[Tunnel, ...]:
        """Give the tunnels that begin or end at ``node``."""
        return tuple(t for t in self.l2tp.tunnels if node in (t.lac, t.lns))

    def address_of(self, node: str, version: int) -> str | None:
        """Give the first underlay address (IP ``version`` 4 or 6) of ``node``, without length."""
        for link in self.links:
            for end in link.ends:
                if end.node == node:
                    for text in end.addresses:
                        if ip_interface(text).version == version:
                            return text.partition("/")[0]
        return None


def netns_name(lab: str, node: str) -> str:
    """Name the namespace of ``node`` in the lab ``lab``, as it shows in ``ip netns``."""
    return f"{lab}-{node}"


def topology_path(name: str) -> Path:
    """Find a topology by path, or by the bare name of one that comes with the lab.

    Raises UsageError with the names there are.
    """
    path = Path(name)
    if path.suffix in (".yml", ".yaml"):
        if path.is_file():
            return path
        raise UsageError(f"there is no topology file {name}; check the path, {_shipped()}")
    shipped = TOPOLOGIES / f"{name}.yml"
    if shipped.is_file():
        return shipped
    raise UsageError(f'there is no topology "{name}"; give a path that ends in .yml, {_shipped()}')


def _shipped() -> str:
    names = ", ".join(sorted(path.stem for path in TOPOLOGIES.glob("*.yml")))
    return f"or one of these names: {names}"


def check_lab_name(lab: str) -> None:
    """Raise UsageError unless ``lab`` can begin the names of namespaces and folders."""
    if not LAB_PATTERN.fullmatch(lab):
        raise UsageError(
            f'"{lab}" is no name for a lab: small letters, digits and hyphens, a letter first, '
            f"at most 32 characters; for example --lab lab2"
        )


@dataclass(frozen=True)
class Counts:
    """How many tunnels, and sessions in each, instead of what a topology's ``count`` says."""

    tunnels: int | None = None
    sessions: int | None = None


AS_WRITTEN = Counts()


def load_topology(
    name: str | Path = "default", *, lab: str = "lab", counts: Counts = AS_WRITTEN
) -> Topology:
    """Read and validate a YAML topology; ``name`` is a path or a shipped topology's name.

    ``lab`` is checked too, since namespace names are made of it. Raises UsageError that lists
    every error of the file with its line.
    """
    check_lab_name(lab)
    path = topology_path(str(name))
    sealed = _sealed(path) if counts == AS_WRITTEN else None
    return sealed or _validated(path, counts)


def _validated(path: Path, counts: Counts = AS_WRITTEN) -> Topology:
    from lab.topology.check import check_topology

    return check_topology(path, counts=counts)


def sealed_text(path: Path) -> str:
    """Validate a file and write its normalised form, sealed with the file's hash."""
    return to_json(_validated(path), seal=_seal(path))


def _sealed(path: Path) -> Topology | None:
    """Take the validated form that lies beside a file, if it was made from this very file."""
    beside = path.with_suffix(".json")
    if path.parent != TOPOLOGIES or not beside.is_file():
        return None
    text = beside.read_text(encoding="utf-8")
    return from_json(text) if f'"seal": "{_seal(path)}"' in text else None


def _seal(path: Path) -> str:
    from hashlib import sha256

    return sha256(path.read_bytes()).hexdigest()


def to_json(topology: Topology, *, seal: str = "") -> str:
    """Write the normalised topology as JSON text; ``seal`` is the hash of what it came from."""
    fields = {"format": JSON_FORMAT, "seal": seal, **asdict(topology)}
    return json.dumps(fields, indent=1) + "\n"


def from_json(text: str) -> Topology:
    """Read what ``to_json`` wrote; UsageError when another version of the lab wrote it."""
    data: dict[str, Any] = json.loads(text)
    if data.pop("format", None) != JSON_FORMAT:
        raise UsageError(
            "topology.json was written by another version of the lab; "
            "bring the lab down and up again: l2tp-lab down && l2tp-lab up"
        )
    return Topology(
        name=data["name"],
        about=data["about"],
        nodes=tuple(_node(node) for node in data["nodes"]),
        links=tuple(_link(link) for link in data["links"]),
        l2tp=_l2tp(data["l2tp"]),
    )


def _node(data: dict[str, Any]) -> Node:
    routes = tuple(Route(**route) for route in data["routes"])
    sysctls = tuple((key, value) for key, value in data["sysctls"])
    return Node(**{**data, "routes": routes, "sysctls": sysctls})


def _link(data: dict[str, Any]) -> Link:
    first, second = (_end(end) for end in data["ends"])
    return Link(ends=(first, second), prefixes=tuple(data["prefixes"]), mtu=data["mtu"])


def _end(data: dict[str, Any]) -> End:
    impairment = data["impairment"] and Impairment(**data["impairment"])
    return End(**{**data, "addresses": tuple(data["addresses"]), "impairment": impairment})


def _l2tp(data: dict[str, Any]) -> L2tp:
    return L2tp(
        port=data["port"],
        ppp=Ppp(**{**data["ppp"], "dns": tuple(data["ppp"]["dns"])}),
        users=tuple(User(**user) for user in data["users"]),
        lns=tuple(LnsService(**lns) for lns in data["lns"]),
        tunnels=tuple(_tunnel(tunnel) for tunnel in data["tunnels"]),
    )


def _tunnel(data: dict[str, Any]) -> Tunnel:
    calls = tuple(Call(call["user"], tuple(call["routes"])) for call in data["calls"])
    ipsec = data["ipsec"] and Ipsec(**data["ipsec"])
    return Tunnel(**{**data, "calls": calls, "ipsec": ipsec})
