"""What is known of a session beside its figures: its owner, its numbers, its other end."""

import socket
from typing import NamedTuple

from probes.figures.events import SESSION
from probes.figures.snapshot import FigureRow, Numbers, Peer

_IPV4_MAPPED = bytes(10) + b"\xff\xff"


class SessionNote(NamedTuple):
    """Python's struct session_note (bpf/records.h), in its order. Times in ns, CLOCK_MONOTONIC."""

    session: int
    registered_ns: int
    ended_ns: int
    rx_numbered: int
    rx_gaps: int
    rx_skipped: int
    rx_late: int
    rx_resyncs: int
    tx_numbered: int
    peer_tunnel_id: int
    peer_session_id: int
    uses: int
    rx_next: int
    rx_last: int
    rx_depth: int
    queue: int
    queue_max: int
    nr: int
    tx_last: int
    local_port: int
    peer_port: int
    local_address: bytes
    peer_address: bytes
    name: bytes

    @classmethod
    def unpack(cls, raw: bytes) -> "SessionNote":
        """Read a value of the map `sessions`."""
        return cls._make(SESSION.unpack(raw))


def add_note(row: FigureRow, note: SessionNote) -> None:
    """Add to a row what its session's note says."""
    row["interface"] = note.name.split(b"\0")[0].decode(errors="replace")
    row["uses"] = note.uses
    row["registered_ns"] = note.registered_ns or None
    row["ended_ns"] = note.ended_ns or None
    row["local_address"] = _address(note.local_address, note.local_port)
    row["peer_address"] = _address(note.peer_address, note.peer_port)
    row["peer_tunnel_id"] = note.peer_tunnel_id
    row["peer_session_id"] = note.peer_session_id
    if note.rx_numbered or note.tx_numbered:
        row["numbers"] = Numbers(
            rx_numbered=note.rx_numbered,
            rx_last_ns=note.rx_last,
            rx_next_ns=note.rx_next,
            rx_gaps=note.rx_gaps,
            rx_skipped=note.rx_skipped,
            rx_late=note.rx_late,
            rx_depth=note.rx_depth,
            rx_resyncs=note.rx_resyncs,
            nr=note.nr,
            queue=note.queue,
            queue_max=note.queue_max,
            tx_numbered=note.tx_numbered,
            tx_last_ns=note.tx_last,
        )


def _address(raw: bytes, port: int) -> str:
    if not any(raw):
        return ""
    if raw.startswith(_IPV4_MAPPED):
        return f"{socket.inet_ntop(socket.AF_INET, raw[len(_IPV4_MAPPED) :])}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, raw)}]:{port}"


def join_ends(rows: list[FigureRow]) -> None:
    """Let each session's row name its other end, if that is here.

    The other end is the one whose ids mirror ours. Where several do (the same ids in several pairs
    of namespaces), their sockets' addresses decide; where they do not either, none is named.
    """
    by_ids: dict[tuple[int, int], list[FigureRow]] = {}
    for row in rows:
        if row["peer_session_id"] and row["ended_ns"] is None:
            by_ids.setdefault((row["tunnel_id"], row["session_id"]), []).append(row)
    for mine in (row for alike in by_ids.values() for row in alike):
        mirrors = [
            other
            for other in by_ids.get((mine["peer_tunnel_id"], mine["peer_session_id"]), [])
            if other is not mine
            and (other["peer_tunnel_id"], other["peer_session_id"])
            == (mine["tunnel_id"], mine["session_id"])
        ]
        if len(mirrors) > 1:
            mirrors = [
                other
                for other in mirrors
                if (other["local_address"], other["peer_address"])
                == (mine["peer_address"], mine["local_address"])
            ]
        if len(mirrors) == 1:
            mine["peer"] = _peer(mirrors[0])


def _peer(row: FigureRow) -> Peer:
    return Peer(
        netns=row["netns"],
        netns_cookie=row["netns_cookie"],
        tunnel_id=row["tunnel_id"],
        session_id=row["session_id"],
        data_packets=row["data_packets"],
        tx_packets=row["tx_packets"],
    )
