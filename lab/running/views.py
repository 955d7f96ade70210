"""Do a daemon, netlink and /proc say the same of a node's tunnels and sessions?

Three views of one thing: what the daemon believes, what the driver answers over generic netlink,
and what it lists in ``/proc/net/pppol2tp``. They are read one after the other while traffic may
run, so that counters must not go down from one to the next, and need not be equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from l2tp.daemon.control import ControlError
from lab.instruments.kernelview import Session, Tunnel, l2tp_objects
from lab.instruments.pppol2tp import ProcEntry, entries
from lab.running.live import Live

Key = tuple[int, int]
"""Tunnel id and session id of this end; session 0 is the tunnel."""

VIEWS = ("daemon", "netlink", "/proc")

#: States in which the daemon's tunnel or session must be in the kernel; in the others it may be.
_UP = frozenset({"established"})
_COUNTERS = ("tx_packets", "rx_packets")
_L2TPV2 = 2


@dataclass(frozen=True, slots=True)
class Sight:
    """A tunnel or a session as one view shows it; None is what the view does not tell."""

    must_be_seen: bool = True  #: by the other views
    may_be_in_proc: bool = True  #: which lists L2TPv2 only
    peer_tunnel_id: int | None = None
    peer_session_id: int | None = None
    interface: str | None = None
    counters: tuple[int, int] | None = None  #: packets sent and received


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What the views do not agree on: of which node and object, and in words."""

    node: str
    tunnel_id: int
    session_id: int
    says: str

    def __str__(self) -> str:
        what = f"tunnel {self.tunnel_id}"
        if self.session_id:
            what = f"session {self.tunnel_id}/{self.session_id}"
        return f"{self.node} {what}: {self.says}" if self.tunnel_id else f"{self.node}: {self.says}"


@dataclass(frozen=True, slots=True)
class Views:
    """The daemons' status by node, how many ends were compared, and what does not agree."""

    status: dict[str, dict[str, Any]]
    tunnels: int
    sessions: int
    disagreements: tuple[Disagreement, ...]

    @property
    def objects(self) -> int:
        """How many ends of tunnels and of sessions were compared."""
        return self.tunnels + self.sessions

    @property
    def foreign(self) -> dict[str, tuple[int, int]]:
        """How many ends of tunnels and of sessions are a foreign daemon's, by whose."""
        tunnels: Counter[str] = Counter()
        sessions: Counter[str] = Counter()
        for status in self.status.values():
            if "daemon" in status:
                tunnels[status["daemon"]] += len(status["tunnels"])
                sessions[status["daemon"]] += sum(len(t["sessions"]) for t in status["tunnels"])
        return {daemon: (tunnels[daemon], sessions[daemon]) for daemon in tunnels}

    @property
    def nodes(self) -> list[str]:
        """The nodes with a daemon that answers, and those of which something is to be said."""
        return list(dict.fromkeys([*self.status, *(one.node for one in self.disagreements)]))


def look(live: Live, rounds: int = 3) -> Views:
    """Read all views of every node; what disagrees only while something changes is no news.

    A disagreement counts when as many ``rounds`` of looking all found it.
    """
    views = _look_once(live)
    for _ in range(rounds - 1):
        if not views.disagreements:
            break
        again = _look_once(live)
        lasting = tuple(one for one in again.disagreements if one in views.disagreements)
        views = replace(again, disagreements=lasting)
    return views


def _look_once(live: Live) -> Views:
    status: dict[str, dict[str, Any]] = {}
    disagreements: list[Disagreement] = []
    tunnel_ends, session_ends = 0, 0
    for node in (node.name for node in live.topology.nodes):
        daemon: dict[Key, Sight] = {}
        if node in live.daemons:
            try:
                status[node] = live.status(node)
                daemon = daemon_view(status[node])
            except ControlError as error:
                disagreements.append(Disagreement(node, 0, 0, f"its daemon is silent: {error}"))
        elif node in live.peers:
            status[node] = live.status(node)
        tunnels, sessions = l2tp_objects(live.netns(node))
        seen = (daemon, netlink_view(tunnels, sessions), proc_view(entries(live.netns(node))))
        disagreements += compare(node, seen, daemon_tells=node not in live.peers)
        keys = {key for view in seen for key in view}
        session_ends += sum(session_id != 0 for _, session_id in keys)
        tunnel_ends += sum(session_id == 0 for _, session_id in keys)
    live.complete(status)
    return Views(status, tunnel_ends, session_ends, tuple(disagreements))


def daemon_view(status: Mapping[str, Any]) -> dict[Key, Sight]:
    """Take what a daemon's status says; what it has closed is none of the kernel's business."""
    seen: dict[Key, Sight] = {}
    for tunnel in status["tunnels"]:
        own = tunnel["local_tunnel_id"]
        if tunnel["state"] != "closed":
            seen[own, 0] = Sight(
                tunnel["state"] in _UP,
                peer_tunnel_id=tunnel["peer_tunnel_id"],
                counters=_counters(tunnel["kernel"]),
            )
        for session in tunnel["sessions"]:
            if session["state"] != "closed":
                seen[own, session["local_session_id"]] = Sight(
                    session["state"] in _UP,
                    peer_tunnel_id=tunnel["peer_tunnel_id"],
                    peer_session_id=session["peer_session_id"],
                    interface=(session["ppp"] or {}).get("interface"),
                    counters=_counters(session["kernel"]),
                )
    return seen


def _counters(kernel: Mapping[str, int] | None) -> tuple[int, int] | None:
    return (kernel["tx_packets"], kernel["rx_packets"]) if kernel else None


def netlink_view(tunnels: Sequence[Tunnel], sessions: Sequence[Session]) -> dict[Key, Sight]:
    """Take what netlink answered; a pseudo-session 0 is the tunnel itself."""
    in_proc = {tunnel.tunnel_id: tunnel.version == _L2TPV2 for tunnel in tunnels}
    seen: dict[Key, Sight] = {
        (tunnel.tunnel_id, 0): Sight(
            may_be_in_proc=in_proc[tunnel.tunnel_id],
            peer_tunnel_id=tunnel.peer_tunnel_id,
            counters=(tunnel.statistics.tx_packets, tunnel.statistics.rx_packets),
        )
        for tunnel in tunnels
    }
    for session in sessions:
        if session.session_id or session.peer_session_id:
            seen[session.tunnel_id, session.session_id] = Sight(
                may_be_in_proc=in_proc.get(session.tunnel_id, True),
                peer_tunnel_id=session.peer_tunnel_id,
                peer_session_id=session.peer_session_id,
                counters=(session.statistics.tx_packets, session.statistics.rx_packets),
            )
    return seen


def proc_view(listed: Sequence[ProcEntry]) -> dict[Key, Sight]:
    """Take what /proc lists."""
    return {
        (entry.tunnel_id, entry.session_id): Sight(
            peer_tunnel_id=entry.peer_tunnel_id,
            peer_session_id=entry.peer_session_id,
            interface=entry.interface,
            counters=(entry.tx_packets, entry.rx_packets),
        )
        for entry in listed
    }


def compare(
    node: str, views: Sequence[Mapping[Key, Sight]], *, daemon_tells: bool = True
) -> Iterator[Disagreement]:
    """Say what the daemon's, netlink's and /proc's view of a node, in this order, differ in.

    Without ``daemon_tells`` a foreign daemon owns what there is, and has no view of its own.
    """
    for key in sorted({key for view in views for key in view}):
        sights = [view.get(key) for view in views]
        if sights[0] is None and daemon_tells:
            yield Disagreement(node, *key, _nobodys(key, sights))
        for says in _differences(sights):
            yield Disagreement(node, *key, says)


def _nobodys(key: Key, sights: Sequence[Sight | None]) -> str:
    where = " and ".join(name for name, sight in zip(VIEWS, sights, strict=True) if sight)
    return f"no daemon owns it, {where} shows it; to remove it: {_removal(key)}"


def _differences(sights: Sequence[Sight | None]) -> Iterator[str]:
    _, netlink, _ = sights
    for name, sight in zip(VIEWS, sights, strict=True):
        if sight is not None or name == "daemon":
            continue
        if name == "/proc" and netlink is not None and not netlink.may_be_in_proc:
            continue
        others = [n for n, s in zip(VIEWS, sights, strict=True) if s and s.must_be_seen]
        if others:
            yield f"{name} does not show it, {' and '.join(others)} does"
    for field in ("peer_tunnel_id", "peer_session_id", "interface"):
        told = {
            name: getattr(sight, field)
            for name, sight in zip(VIEWS, sights, strict=True)
            if sight is not None and getattr(sight, field) is not None
        }
        if len(set(told.values())) > 1:
            values = ", ".join(f"{name} {value}" for name, value in told.items())
            yield f"{field} differs: {values}"
    yield from _counters_that_fell(sights)


def _counters_that_fell(sights: Sequence[Sight | None]) -> Iterator[str]:
    for number, counter in enumerate(_COUNTERS):
        told = [(name, s.counters[number]) for name, s in zip(VIEWS, sights, strict=True)
                if s is not None and s.counters is not None]  # fmt: skip
        for (before, more), (after, less) in pairwise(told):
            if less < more:
                yield f"{counter} differs: {before} {more}, and {after}, asked later, {less}"


def _removal(key: Key) -> str:
    tunnel_id, session_id = key
    if session_id:
        return f"ip l2tp del session tunnel_id {tunnel_id} session_id {session_id}"
    return f"ip l2tp del tunnel tunnel_id {tunnel_id}"
