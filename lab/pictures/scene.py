"""What a picture of a lab shows, before it is known how: boxes on a grid, wires, pipes, strands.

The terminal's drawing and the SVG are both made of a ``Scene``. It comes from a topology alone, or
from a topology and what the daemons' ``status`` says now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from typing import Any, TypeVar

from lab.topology import End, Impairment, Link, Topology, Tunnel

Status = Mapping[str, Any]
"""A daemon's answer to ``status``."""

PIPES_DRAWN, STRANDS_DRAWN = 8, 8
"""So many tunnels and sessions are drawn; of more, some, and how many there are. The tables below
the picture have them all."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node at its place: columns count from the LACs, rows from the top."""

    name: str
    kind: str
    column: int
    row: int


@dataclass(frozen=True, slots=True)
class Plug:
    """One end of a wire: addresses with prefix length, and what is done to what leaves there."""

    node: str
    interface: str
    addresses: tuple[str, ...]
    impairment: str


@dataclass(frozen=True, slots=True)
class Wire:
    """A link; ``left`` is the end in the earlier column."""

    left: Plug
    right: Plug
    prefixes: tuple[str, ...]
    mtu: int


@dataclass(frozen=True, slots=True)
class Strand:
    """A session, or a call that is to become one; ids and addresses are "" until known."""

    user: str
    state: str
    lac_session_id: str
    lns_session_id: str
    lac_interface: str
    lac_ipv4: str
    lns_interface: str
    lns_ipv4: str
    ipv6_prefix: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """A tunnel; ids are "" until known. ``state`` is the LAC's word for it, "" without a lab."""

    name: str
    lac: str
    lns: str
    lac_address: str
    lns_address: str
    port: int
    state: str
    lac_tunnel_id: str
    lns_tunnel_id: str
    strands: tuple[Strand, ...]
    more: str = ""
    """What stands for the sessions that are not drawn one by one."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a picture shows; ``more`` stands for tunnels that are not drawn one by one."""

    title: str
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    pipes: tuple[Pipe, ...]
    more: str = ""

    def box(self, name: str) -> Box:
        """Give the box of a node."""
        return next(box for box in self.boxes if box.name == name)

    def is_lowest(self, box: Box) -> bool:
        """Tell whether nothing stands below a box in its column."""
        return all(other.row <= box.row for other in self.boxes if other.column == box.column)


def make_scene(topology: Topology, live: Mapping[str, Status] | None = None) -> Scene:
    """Lay out a topology; ``live`` maps a node's name to its daemon's status."""
    boxes = _boxes(topology)
    columns = {box.name: box.column for box in boxes}
    pipes = [_pipe(topology, tunnel, live or {}) for tunnel in topology.l2tp.tunnels]
    drawn = drawn_pipes(pipes)
    return Scene(
        title=f"{topology.name}: {topology.about}" if topology.about else topology.name,
        boxes=boxes,
        wires=tuple(_wire(link, columns) for link in topology.links),
        pipes=tuple(drawn),
        more=more_text("tunnel", [pipe.state for pipe in pipes if pipe.name not in names(drawn)]),
    )


def names(pipes: Sequence[Pipe]) -> set[str]:
    """Give the names of tunnels."""
    return {pipe.name for pipe in pipes}


def drawn_pipes(pipes: Sequence[Pipe]) -> list[Pipe]:
    """Choose what is drawn of many tunnels and sessions: first of all what is not established."""
    chosen = _foremost(pipes, PIPES_DRAWN)
    strands = sum(len(pipe.strands) for pipe in pipes)
    if strands <= STRANDS_DRAWN:
        return chosen
    return [_shortened(pipe, max(1, STRANDS_DRAWN // len(pipes))) for pipe in chosen]


def _shortened(pipe: Pipe, most: int) -> Pipe:
    drawn = _foremost(pipe.strands, most)
    rest = [strand.state for strand in pipe.strands if strand not in drawn]
    return replace(pipe, strands=tuple(drawn), more=more_text("session", rest))


Stateful = TypeVar("Stateful", Pipe, Strand)


def _foremost(things: Sequence[Stateful], most: int) -> list[Stateful]:
    if len(things) <= most:
        return list(things)
    chosen = sorted(things, key=lambda thing: thing.state in ("", "established"))[:most]
    return [thing for thing in things if thing in chosen]


def more_text(what: str, states: Sequence[str]) -> str:
    """Say how many are not drawn, and how they are: ``… and 6 more sessions, established``."""
    if not states:
        return ""
    counted = Counter(state for state in states if state)
    how = (
        next(iter(counted))
        if len(counted) == 1
        else ", ".join(f"{number} {state}" for state, number in counted.items())
    )
    plural = "" if len(states) == 1 else "s"
    return f"… and {len(states)} more {what}{plural}{f', {how}' if how else ''}"


def _boxes(topology: Topology) -> tuple[Box, ...]:
    columns = _columns(topology)
    rows: dict[str, int] = {}
    free: dict[int, int] = {}
    # Stable: within a column in the order of the neighbours to the left, then of the file.
    for node in sorted(topology.nodes, key=lambda node: columns[node.name]):
        column = columns[node.name]
        left = [
            rows[other]
            for other in _neighbours(topology, node.name)
            if columns[other] == column - 1 and other in rows
        ]
        rows[node.name] = max(free.get(column, 0), min(left, default=0))
        free[column] = rows[node.name] + 1
    return tuple(
        Box(node.name, node.kind, columns[node.name], rows[node.name]) for node in topology.nodes
    )


def _columns(topology: Topology) -> dict[str, int]:
    """Count each node's links to the nearest LAC (to the first node where there is none)."""
    starts = [node.name for node in topology.nodes if node.kind == "lac"]
    columns: dict[str, int] = {}
    for name in (*starts, *(node.name for node in topology.nodes)):
        if name in columns:
            continue
        columns[name] = 0
        frontier = [name] if name not in starts else list(starts)
        columns.update(dict.fromkeys(frontier, 0))
        while frontier:
            reached = [o for n in frontier for o in _neighbours(topology, n) if o not in columns]
            columns.update(dict.fromkeys(reached, columns[frontier[0]] + 1))
            frontier = list(dict.fromkeys(reached))
    return columns


def _neighbours(topology: Topology, name: str) -> list[str]:
    return [
        other.node
        for link in topology.links
        for end, other in (link.ends, link.ends[::-1])
        if end.node == name
    ]


def _wire(link: Link, columns: Mapping[str, int]) -> Wire:
    first, second = link.ends
    if columns[first.node] > columns[second.node]:
        first, second = second, first
    return Wire(_plug(first), _plug(second), link.prefixes, link.mtu)


def _plug(end: End) -> Plug:
    impairment = impairment_text(end.impairment) if end.impairment else ""
    return Plug(end.node, end.interface, end.addresses, impairment)


def impairment_text(impairment: Impairment) -> str:
    """Say briefly what netem does: ``15±2 ms, 0.5 % loss, 20 Mbit/s``."""
    words = []
    if impairment.delay_ms:
        jitter = f"±{impairment.jitter_ms:g}" if impairment.jitter_ms else ""
        words.append(f"{impairment.delay_ms:g}{jitter} ms")
    for percent, word in (
        (impairment.loss_percent, "loss"),
        (impairment.duplicate_percent, "twice"),
        (impairment.corrupt_percent, "corrupt"),
        (impairment.reorder_percent, "reordered"),
    ):
        if percent:
            words.append(f"{percent:g} % {word}")
    if impairment.rate_kbit:
        words.append(f"{impairment.rate_kbit / 1000:g} Mbit/s")
    return ", ".join(words)


def short_address(address: str) -> str:
    """Leave out what the prefix says already: ``.1`` of 192.0.2.1/24, ``::1`` of 2001:db8::1/64."""
    interface = ip_interface(address)
    host = str(interface.ip)
    if interface.version == 4:
        return f".{host.rpartition('.')[2]}" if interface.network.prefixlen >= 24 else host
    if interface.network.prefixlen == 64 and "::" in host:
        return f"::{host.rpartition('::')[2]}"
    return host


def _pipe(topology: Topology, tunnel: Tunnel, live: Mapping[str, Status]) -> Pipe:
    lac = _lac_entry(topology, tunnel, live.get(tunnel.lac))
    lns = _lns_entry(lac, live.get(tunnel.lns))
    return Pipe(
        name=tunnel.name,
        lac=tunnel.lac,
        lns=tunnel.lns,
        lac_address=tunnel.lac_address,
        lns_address=tunnel.lns_address,
        port=topology.l2tp.port,
        state=lac.get("state") or ("absent" if tunnel.lac in live else ""),
        lac_tunnel_id=_known(lac.get("local_tunnel_id")),
        lns_tunnel_id=_known(lac.get("peer_tunnel_id")),
        strands=tuple(_strands(topology, tunnel, lac, lns)),
    )


def _lac_entry(topology: Topology, tunnel: Tunnel, status: Status | None) -> Status:
    """Find a tunnel in its LAC's status: by its ends and its name, else by who calls in it."""
    entries = [
        entry
        for entry in (status or {}).get("tunnels", [])
        if _host(entry.get("local")) in (tunnel.lac_address, "")
        and _host(entry.get("peer")) == tunnel.lns_address
        and entry.get("name") in (tunnel.name, None)  # the kernel, which tells of others, has none
    ]
    users = {call.user for call in tunnel.calls}
    for entry in entries:
        if users & {session.get("user") for session in entry.get("sessions", [])}:
            return _mapping(entry)
    ends = (tunnel.lac_address, tunnel.lns_address)
    same = [t for t in topology.l2tp.tunnels if (t.lac_address, t.lns_address) == ends]
    sure = [entry for entry in entries if entry.get("name") or len(same) == 1]
    return _mapping(sure[0]) if sure else {}


def _lns_entry(lac: Status, status: Status | None) -> Status:
    for entry in (status or {}).get("tunnels", []):
        if entry.get("local_tunnel_id") == lac.get("peer_tunnel_id") is not None:
            return _mapping(entry)
    return {}


def _strands(topology: Topology, tunnel: Tunnel, lac: Status, lns: Status) -> Iterator[Strand]:
    """Give the topology's calls, and then the sessions that were dialled beside them."""
    sessions: list[Status] = list(lac.get("sessions", []))
    for call in tunnel.calls:
        here: Status = next((s for s in sessions if s.get("user") == call.user), {})
        if here:
            sessions.remove(here)
        yield _strand(topology, call.user, here, lns)
    for here in sessions:
        if here.get("state") != "closed":
            yield _strand(topology, "", here, lns)


def _strand(topology: Topology, caller: str, here: Status, lns: Status) -> Strand:
    """Draw a session by what its LAC says of it; ``caller`` is "" where no call asks for it."""
    peer_id = here.get("peer_session_id")
    sessions: Sequence[Status] = lns.get("sessions", [])
    there: Status = next(
        (s for s in sessions if peer_id is not None and s.get("local_session_id") == peer_id), {}
    )
    here_ppp, there_ppp = here.get("ppp") or {}, there.get("ppp") or {}
    user = caller or here.get("user") or there.get("user") or "?"
    prefixes = {known.name: known.framed_ipv6_prefix for known in topology.l2tp.users}
    return Strand(
        user=user,
        state=here.get("state") or "",
        lac_session_id=_known(here.get("local_session_id")),
        lns_session_id=_known(peer_id),
        lac_interface=here_ppp.get("interface") or "",
        lac_ipv4=here_ppp.get("local_ipv4") or "",
        lns_interface=there_ppp.get("interface") or "",
        lns_ipv4=there_ppp.get("local_ipv4") or here_ppp.get("peer_ipv4") or "",
        ipv6_prefix=prefixes.get(user) or "",
    )


def _mapping(entry: Any) -> Status:
    return entry if isinstance(entry, Mapping) else {}


def _known(number: int | None) -> str:
    return "" if number is None else str(number)


def _host(address: str | None) -> str:
    return (address or "").rpartition(":")[0].strip("[]")
