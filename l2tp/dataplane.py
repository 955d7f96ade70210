"""What a data plane offers to a daemon, and one that keeps everything in memory.

The kernel's is `l2tp/kernel`; the in-memory one is a real implementation of the same interface, for
tests that have no driver. Ids are uint16 and never zero.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from l2tp.protocol.constants import MAXIMUM_ID
from l2tp.protocol.errors import HeaderError, KernelError
from l2tp.protocol.header import DataHeader, decode_header, encode_data
from l2tp.protocol.parameters import Address


@dataclass(slots=True)
class DataPlaneStatistics:
    """Counters of a tunnel or a session, as `struct pppol2tp_ioc_stats` of linux/ppp-ioctl.h."""

    tx_packets: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0
    rx_packets: int = 0
    rx_bytes: int = 0
    rx_seq_discards: int = 0
    rx_oos_packets: int = 0
    rx_errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How a session treats its data: which end we are, sequence numbers (§5.4), reordering."""

    lns_mode: bool = False
    send_sequence: bool = False
    receive_sequence: bool = False
    reorder_timeout_ms: int = 0


class DataPlane(Protocol):
    """Where PPP frames travel once the control connection has agreed on the ids."""

    def create_tunnel(
        self, udp_fd: int, local_tunnel_id: int, peer_tunnel_id: int, peer: Address
    ) -> None:
        """Make `udp_fd`, connected to `peer`, carry this tunnel; KernelError where it cannot."""

    def create_session(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        peer_session_id: int,
        options: SessionOptions,
    ) -> None:
        """Add a session to a tunnel; KernelError where it cannot."""

    def configure_session(
        self, local_tunnel_id: int, local_session_id: int, options: SessionOptions
    ) -> None:
        """Change an open session's options; KernelError where it cannot."""

    def statistics(
        self, local_tunnel_id: int, local_session_id: int | None = None
    ) -> DataPlaneStatistics:
        """Counters of a session, or of the whole tunnel; KernelError for what is not there."""

    def close_session(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Remove a session; one that is not there stays so."""

    def close_tunnel(self, local_tunnel_id: int) -> None:
        """Remove a tunnel and its sessions; one that is not there stays so."""

    def close(self) -> None:
        """Remove every tunnel."""


@dataclass(slots=True)
class _Session:
    peer_session_id: int
    options: SessionOptions
    statistics: DataPlaneStatistics = field(default_factory=DataPlaneStatistics)
    frames: deque[bytes] = field(default_factory=deque)
    next_ns: int = 0


@dataclass(slots=True)
class _Tunnel:
    udp_fd: int
    peer_tunnel_id: int
    peer: Address
    statistics: DataPlaneStatistics = field(default_factory=DataPlaneStatistics)
    sessions: dict[int, _Session] = field(default_factory=dict)


class MemoryDataPlane:
    """A data plane without a kernel; `send(peer, datagram)` is where its datagrams go."""

    def __init__(self, send: Callable[[Address, bytes], None] = lambda peer, datagram: None):
        self._send = send
        self._tunnels: dict[int, _Tunnel] = {}

    def create_tunnel(
        self, udp_fd: int, local_tunnel_id: int, peer_tunnel_id: int, peer: Address
    ) -> None:
        """Add a tunnel; raises KernelError for a bad id and for one that is there."""
        operation = f"create tunnel {local_tunnel_id}"
        _check_ids(operation, local_tunnel_id, peer_tunnel_id)
        if local_tunnel_id in self._tunnels:
            raise KernelError(operation, errno.EEXIST)
        self._tunnels[local_tunnel_id] = _Tunnel(udp_fd, peer_tunnel_id, peer)

    def create_session(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        peer_session_id: int,
        options: SessionOptions,
    ) -> None:
        """Add a session; raises KernelError without its tunnel and for one that is there."""
        operation = f"create session {local_session_id} in tunnel {local_tunnel_id}"
        _check_ids(operation, local_session_id, peer_session_id)
        tunnel = self._find_tunnel(operation, local_tunnel_id)
        if local_session_id in tunnel.sessions:
            raise KernelError(operation, errno.EEXIST)
        tunnel.sessions[local_session_id] = _Session(peer_session_id, options)

    def configure_session(
        self, local_tunnel_id: int, local_session_id: int, options: SessionOptions
    ) -> None:
        """Change an open session's options; raises KernelError for one that is not there."""
        tunnel = self._find_tunnel("configure session", local_tunnel_id)
        _find_session(tunnel, local_tunnel_id, local_session_id).options = options

    def statistics(
        self, local_tunnel_id: int, local_session_id: int | None = None
    ) -> DataPlaneStatistics:
        """Counters as they are now."""
        tunnel = self._find_tunnel(f"statistics of tunnel {local_tunnel_id}", local_tunnel_id)
        if local_session_id is None:
            return tunnel.statistics
        return _find_session(tunnel, local_tunnel_id, local_session_id).statistics

    def close_session(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Remove a session; one that is not there stays so."""
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is not None:
            tunnel.sessions.pop(local_session_id, None)

    def close_tunnel(self, local_tunnel_id: int) -> None:
        """Remove a tunnel and its sessions; one that is not there stays so."""
        self._tunnels.pop(local_tunnel_id, None)

    def close(self) -> None:
        """Remove every tunnel."""
        self._tunnels.clear()

    def transmit(self, local_tunnel_id: int, local_session_id: int, frame: bytes) -> None:
        """Send a PPP frame, numbered where the session asks for it (RFC 2661 §5.4)."""
        tunnel = self._find_tunnel("transmit", local_tunnel_id)
        session = _find_session(tunnel, local_tunnel_id, local_session_id)
        ns = None
        if session.options.send_sequence:
            ns, session.next_ns = session.next_ns, (session.next_ns + 1) & 0xFFFF
        datagram = encode_data(tunnel.peer_tunnel_id, session.peer_session_id, frame, ns=ns)
        for statistics in (tunnel.statistics, session.statistics):
            statistics.tx_packets += 1
            statistics.tx_bytes += len(datagram)
        self._send(tunnel.peer, datagram)

    def receive(self, datagram: bytes) -> bool:
        """Take a datagram; false where it is not data of a session here, as the kernel's hook."""
        try:
            header = decode_header(datagram)
        except HeaderError:
            return False
        tunnel = self._tunnels.get(header.tunnel_id) if isinstance(header, DataHeader) else None
        session = tunnel.sessions.get(header.session_id) if tunnel else None
        if tunnel is None or session is None or not isinstance(header, DataHeader):
            return False
        if session.options.receive_sequence and header.ns is None:
            session.statistics.rx_seq_discards += 1
            session.statistics.rx_errors += 1
            return True
        for statistics in (tunnel.statistics, session.statistics):
            statistics.rx_packets += 1
            statistics.rx_bytes += header.payload_end - header.payload_start
        session.frames.append(datagram[header.payload_start : header.payload_end])
        return True

    def next_frame(self, local_tunnel_id: int, local_session_id: int) -> bytes | None:
        """Take the oldest received PPP frame of a session; None when there is none."""
        tunnel = self._find_tunnel("receive", local_tunnel_id)
        frames = _find_session(tunnel, local_tunnel_id, local_session_id).frames
        return frames.popleft() if frames else None

    def _find_tunnel(self, operation: str, local_tunnel_id: int) -> _Tunnel:
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is None:
            raise KernelError(operation, errno.ENOENT)
        return tunnel


def _find_session(tunnel: _Tunnel, local_tunnel_id: int, local_session_id: int) -> _Session:
    session = tunnel.sessions.get(local_session_id)
    if session is None:
        raise KernelError(f"session {local_session_id} of tunnel {local_tunnel_id}", errno.ENOENT)
    return session


def _check_ids(operation: str, *ids: int) -> None:
    if not all(0 < number <= MAXIMUM_ID for number in ids):
        raise KernelError(operation, errno.EINVAL, cure="use ids from 1 to 65535")
