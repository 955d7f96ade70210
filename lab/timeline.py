"""One timeline of daemons, pppd and the kernel, on one clock: each line with netns and ids.

The daemons say what they decided, the kernel what it did. Both use CLOCK_MONOTONIC of one box, so
that joining is sorting. What belongs to one tunnel at both ends gets one ``tunnel`` name: two ends
are one tunnel when each names the other's id as its peer's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from l2tp.log import plain
from l2tp.protocol.codec import decode_message
from l2tp.protocol.errors import L2tpError
from l2tp.protocol.header import CONTROL_HEADER_SIZE, ControlHeader, decode_header
from lab.pictures.width import cut

Record = dict[str, Any]

# Events of a daemon's log that tell of pppd.
_PPP_EVENTS = frozenset(
    {"PppAuthenticated", "PppDown", "PppExited", "PppUp", "PppdSaid", "NetworkSet", "SessionReady"}
)
_ORDER = ("time_ns", "wall_ns", "node", "netns", "tunnel", "tunnel_id", "session_id",
          "peer_tunnel_id", "peer_session_id", "source", "event", "says", "details")  # fmt: skip


@dataclass
class Timeline:
    """Puts what daemons and the tracer told on one line, and finds the two ends of each tunnel.

    nodes: names of namespaces by inode number. wall_offset_ns: what to add to CLOCK_MONOTONIC for
    the time of day.
    """

    nodes: Mapping[int, str]
    wall_offset_ns: int
    _peers: dict[tuple[str, int], set[int]] = field(default_factory=dict)
    _peer_sessions: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def join(
        self, logs: Mapping[str, Iterable[Record]], moments: Iterable[Mapping[str, Any]]
    ) -> list[Record]:
        """Give all of it in order of time.

        logs: each daemon's records (l2tp/log.py) by node. moments: rows of the tracer.
        """
        records = [self.of_daemon(node, entry) for node, log in logs.items() for entry in log]
        told_by_daemons = set(logs)
        for row in moments:
            record = self.of_kernel(row)
            # A daemon of ours has told of its own messages, retransmissions and all.
            if not (record["event"] == "control_received" and record["node"] in told_by_daemons):
                records.append(record)
        return self.named(records)

    def named(self, records: Iterable[Record]) -> list[Record]:
        """Order records by time, and name the tunnel of each."""
        ordered = sorted(records, key=lambda record: record["time_ns"])
        for record in ordered:
            self._learn(record)
        for record in ordered:
            self._complete(record)
        return [{name: record[name] for name in _ORDER} for record in ordered]

    def of_daemon(self, node: str, entry: Mapping[str, Any]) -> Record:
        """Take a record of a daemon's log over."""
        known = {"event", "time_ns", "wall_ns", "local_tunnel_id", "local_session_id"}
        details = {name: value for name, value in entry.items() if name not in known}
        netns = next((inode for inode, name in self.nodes.items() if name == node), None)
        return {
            "time_ns": entry["time_ns"],
            "wall_ns": entry["wall_ns"],
            "node": node,
            "netns": netns,
            "tunnel": None,
            "tunnel_id": entry["local_tunnel_id"],
            "session_id": entry["local_session_id"] or None,
            "peer_tunnel_id": details.get("peer_tunnel_id"),
            "peer_session_id": details.get("peer_session_id"),
            "source": "pppd" if entry["event"] in _PPP_EVENTS else "daemon",
            "event": entry["event"],
            "says": _daemon_says(entry["event"], details),
            "details": details,
        }

    def of_kernel(self, row: Mapping[str, Any]) -> Record:
        """Take a moment of the tracer over; a control message is decoded."""
        details: Record = {"ns": row["ns"]} if row["event"].startswith("dropped") else {}
        says = row["event"].replace("_", " ")
        if row["event"] == "control_received":
            details = _decoded(row)
            says = f"{details['name']} from {row['source']}:{row['port']}"
        return {
            "time_ns": row["time_ns"],
            "wall_ns": row["time_ns"] + self.wall_offset_ns,
            "node": self.nodes.get(row["netns"], str(row["netns"])),
            "netns": row["netns"],
            "tunnel": None,
            "tunnel_id": row["tunnel_id"] or None,
            "session_id": row["session_id"] or None,
            "peer_tunnel_id": row["peer_tunnel_id"] or None,
            "peer_session_id": row["peer_session_id"] or None,
            "source": "kernel",
            "event": row["event"],
            "says": says,
            "details": details,
        }

    def _learn(self, record: Record) -> None:
        node, tunnel, peer = record["node"], record["tunnel_id"], record["peer_tunnel_id"]
        if tunnel and peer:
            self._peers.setdefault((node, tunnel), set()).add(peer)
            if record["session_id"] and record["peer_session_id"]:
                key = (node, tunnel, record["session_id"])
                self._peer_sessions[key] = record["peer_session_id"]

    def _complete(self, record: Record) -> None:
        node, tunnel = record["node"], record["tunnel_id"]
        if not tunnel:
            return
        peers = self._peers.get((node, tunnel), set())
        if record["peer_tunnel_id"] is None and len(peers) == 1:
            record["peer_tunnel_id"] = next(iter(peers))
        if record["peer_session_id"] is None and record["session_id"]:
            key = (node, tunnel, record["session_id"])
            record["peer_session_id"] = self._peer_sessions.get(key)
        record["tunnel"] = self._name(node, tunnel, record["peer_tunnel_id"])

    def _name(self, node: str, tunnel: int, peer: int | None) -> str:
        """Name a tunnel by its two ends, in one order whichever end tells."""
        others = [
            other
            for (other, other_id), named in self._peers.items()
            if peer is not None and other_id == peer and tunnel in named
            if (other, other_id) != (node, tunnel)
        ]
        if len(others) != 1:  # the other end is not here, or several could be it
            return f"{node}/{tunnel}"
        return " = ".join(sorted((f"{node}/{tunnel}", f"{others[0]}/{peer}")))


def _daemon_says(event: str, details: Mapping[str, Any]) -> str:
    match event:
        case "MessageSent" | "MessageReceived":
            verb = "sent" if event == "MessageSent" else "received"
            again = details.get("transmission", 1)
            repeat = f", transmission {again}" if again != 1 else ""
            return f"{verb} {details['name']} (Ns {details['ns']}, Nr {details['nr']}{repeat})"
        case "PppdSaid":
            return str(details["line"])
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in event).strip()
    cause = details.get("cause")
    return f"{words}: {cause}" if cause else words


def _decoded(row: Mapping[str, Any]) -> Record:
    data = bytes.fromhex(row["message"])
    found: Record = {"name": "a message that cannot be decoded", "length": row["length"]}
    if len(data) < row["length"]:
        found["cut_to"] = len(data)
    try:
        header = decode_header(data) if not found.get("cut_to") else None
        if isinstance(header, ControlHeader):
            found |= {"ns": header.ns, "nr": header.nr}
            body = data[CONTROL_HEADER_SIZE : header.length]
            if not body:
                return found | {"name": "ZLB"}
            message = decode_message(body)
            found |= {"name": message.name, "message": plain(message)}
    except L2tpError as error:
        found["cause"] = str(error)
    return found


_MARKS = {"kernel": "k", "pppd": "p", "daemon": "d"}


class Drawing:
    """Draws lines: seconds since the first, who tells, node, ids, what happened."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._node_width = 7

    def line(self, record: Record, width: int | None = None) -> str:
        """Draw one record; cut to a width, with a mark, where one is given."""
        if self._first is None:
            self._first = record["time_ns"]
        ids = f"{record['tunnel_id'] or ''}"
        if record["session_id"]:
            ids += f"/{record['session_id']}"
        seconds = (record["time_ns"] - self._first) / 1e9
        says = "".join(c if c.isprintable() else "?" for c in record["says"])
        mark = _MARKS[record["source"]]
        self._node_width = max(self._node_width, len(record["node"]))
        node = f"{record['node']:<{self._node_width}}"
        return cut(f"{seconds:11.6f} {mark} {node} {ids:<12} {says}", width)
