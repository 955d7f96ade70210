"""What ``/proc/net/pppol2tp`` lists: the driver's own view of its L2TPv2 tunnels and sessions.

Written by ``net/l2tp/l2tp_ppp.c: pppol2tp_seq_tunnel_show, pppol2tp_seq_session_show``. Linux 6.1
lists a management socket's pseudo-session 0 as well, later kernels do not; here it is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lab.network.namespaces import FOLDER, in_netns

_TUNNEL = re.compile(r"\s*TUNNEL 'tunl (\d+)', ")
_SESSION = re.compile(r"\s*SESSION '[^']*' \S+ ([0-9A-F]+)/([0-9A-F]+) -> ([0-9A-F]+)/([0-9A-F]+) ")
_COUNTS = re.compile(r"\s*\S+ (\d+)/\d+/\d+ (\d+)/\d+/\d+$")
_INTERFACE = re.compile(r"\s*interface (\S+)$")
_TABLE = Path("/proc/thread-self/net/pppol2tp")


@dataclass(frozen=True, slots=True)
class ProcEntry:
    """A tunnel (session ids 0) or a session; ``interface`` is None without a ppp unit."""

    tunnel_id: int
    session_id: int = 0
    peer_tunnel_id: int | None = None  #: told of sessions only
    peer_session_id: int | None = None
    tx_packets: int = 0
    rx_packets: int = 0
    interface: str | None = None


def entries(netns: str) -> list[ProcEntry]:
    """Read the table of a named namespace; nothing where the driver is not loaded."""
    handle = os.open(FOLDER / netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return parse(in_netns(handle, _lines))
    finally:
        os.close(handle)


def _lines() -> list[str]:
    try:
        return _TABLE.read_text().splitlines()
    except FileNotFoundError:
        return []


def parse(lines: Sequence[str]) -> list[ProcEntry]:
    """Read the table's lines."""
    starts = [number for number, line in enumerate(lines) if _TUNNEL.match(line)]
    starts += [number for number, line in enumerate(lines) if _SESSION.match(line)]
    starts.sort()
    return list(_entries(lines, starts))


def _entries(lines: Sequence[str], starts: Sequence[int]) -> Iterator[ProcEntry]:
    for at, end in pairwise((*starts, len(lines))):
        rest = lines[at + 1 : end]
        counts = next((found for line in rest if (found := _COUNTS.match(line))), None)
        tx, rx = (int(counts[1]), int(counts[2])) if counts else (0, 0)
        if tunnel := _TUNNEL.match(lines[at]):
            yield ProcEntry(int(tunnel[1]), tx_packets=tx, rx_packets=rx)
        elif session := _SESSION.match(lines[at]):
            tunnel_id, session_id, peer_tunnel_id, peer_session_id = (
                int(word, 16) for word in session.groups()
            )
            if session_id or peer_session_id:
                names = [found[1] for line in rest if (found := _INTERFACE.match(line))]
                yield ProcEntry(
                    tunnel_id,
                    session_id,
                    peer_tunnel_id,
                    peer_session_id,
                    tx,
                    rx,
                    names[0] if names and names[0] != "(null)" else None,
                )
