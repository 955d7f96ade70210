"""PPPoL2TP sockets: the tunnel's management socket and one socket per session.

A tunnel owns its management socket and its sessions, and closes them in the one order that
leaves nothing behind: sessions, management socket, and only then, by its owner, the UDP socket.
"""

import errno
import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from l2tp.dataplane import DataPlaneStatistics, SessionOptions
from l2tp.kernel import libc, uapi
from l2tp.kernel.errors import refusal
from l2tp.kernel.shared_ports import finds_sessions_by_ids
from l2tp.kernel.sockaddr import pack_sockaddr
from l2tp.protocol.parameters import Address

_INT: Final = struct.Struct("=i")


class PppoxSession:
    """The PPPoL2TP socket of one session."""

    def __init__(self, pppox: socket.socket, local_session_id: int) -> None:
        self._socket = pppox
        self.local_session_id = local_session_id

    def fileno(self) -> int:
        """Return the descriptor that pppd's pppol2tp plugin takes."""
        return self._socket.fileno()

    def channel(self) -> int:
        """Return the number of the session's PPP channel (PPPIOCGCHAN)."""
        with _naming("ask for the channel", f"session {self.local_session_id}"):
            answer = fcntl.ioctl(self._socket, uapi.PPPIOCGCHAN, _INT.pack(0))
        return int(_INT.unpack(answer)[0])

    def stats(self) -> DataPlaneStatistics:
        """Return what the driver counted for the session (PPPIOCGL2TPSTATS)."""
        return _stats(self._socket, f"session {self.local_session_id}")

    def configure(self, options: SessionOptions) -> None:
        """Set the session's options; none of them is a default of the driver when set."""
        rows = (
            (uapi.SocketOption.LNSMODE, int(options.lns_mode)),
            (uapi.SocketOption.SENDSEQ, int(options.send_sequence)),
            (uapi.SocketOption.RECVSEQ, int(options.receive_sequence)),
            (uapi.SocketOption.REORDERTO, options.reorder_timeout_ms),
        )
        for option, value in rows:
            with _naming(f"set {option.name}", f"session {self.local_session_id}"):
                self._socket.setsockopt(uapi.SOL_PPPOL2TP, option, value)

    def option(self, option: uapi.SocketOption) -> int:
        """Return the value that the driver holds for ``option``."""
        with _naming(f"read {option.name}", f"session {self.local_session_id}"):
            return self._socket.getsockopt(uapi.SOL_PPPOL2TP, option)

    def close(self) -> None:
        """Close our descriptor; the session ends when no process holds one."""
        self._socket.close()


class PppoxTunnel:
    """A tunnel in the kernel: its management socket, open as long as the tunnel, and its sessions.

    ``udp_fd`` is the tunnel's UDP socket, connected to ``peer``; it stays its owner's, who closes
    it after the tunnel: that is what removes the tunnel from the kernel. Raises KernelError.
    """

    def __init__(
        self, udp_fd: int, local_tunnel_id: int, peer_tunnel_id: int, peer: Address
    ) -> None:
        self.local_tunnel_id = local_tunnel_id
        self.peer_tunnel_id = peer_tunnel_id
        self._udp_fd = udp_fd
        self._peer = peer
        self._sessions: dict[int, PppoxSession] = {}
        self._management = self._connect("open tunnel", str(local_tunnel_id), 0, 0)

    def open_session(
        self, local_session_id: int, peer_session_id: int, options: SessionOptions
    ) -> PppoxSession:
        """Open a session's socket; from now on the kernel queues its data for a PPP channel.

        Raises KernelError ("socket", "open session", "set …").
        """
        subject = f"{local_session_id} of tunnel {self.local_tunnel_id}"
        pppox = self._connect("open session", subject, local_session_id, peer_session_id)
        session = PppoxSession(pppox, local_session_id)
        try:
            session.configure(options)
        except BaseException:
            session.close()
            raise
        self._sessions[local_session_id] = session
        return session

    def session(self, local_session_id: int) -> PppoxSession | None:
        """Return the open session of this id, or None."""
        return self._sessions.get(local_session_id)

    def stats(self) -> DataPlaneStatistics:
        """Return what the driver counted for the tunnel; discards are counted per session."""
        return _stats(self._management, f"tunnel {self.local_tunnel_id}")

    def close_session(self, local_session_id: int) -> None:
        """Close a session's socket; unknown ids are as good as closed."""
        session = self._sessions.pop(local_session_id, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        """Close the sessions, then the management socket; again is harmless."""
        for local_session_id in list(self._sessions):
            self.close_session(local_session_id)
        self._management.close()

    def _connect(
        self, operation: str, subject: str, local_session_id: int, peer_session_id: int
    ) -> socket.socket:
        pppox = _open_pppox_socket()
        try:
            address = pack_sockaddr(
                self._udp_fd,
                self._peer,
                local_tunnel_id=self.local_tunnel_id,
                peer_tunnel_id=self.peer_tunnel_id,
                local_session_id=local_session_id,
                peer_session_id=peer_session_id,
            )
            with _naming(operation, subject):
                libc.connect(pppox.fileno(), address)
        except BaseException:
            pppox.close()
            raise
        return pppox


class PppoxDataPlane:
    """The kernel as a data plane (l2tp.dataplane.DataPlane): every tunnel of one daemon."""

    def __init__(self) -> None:
        self._tunnels: dict[int, PppoxTunnel] = {}

    def create_tunnel(
        self, udp_fd: int, local_tunnel_id: int, peer_tunnel_id: int, peer: Address
    ) -> None:
        """Open the management socket of a tunnel whose UDP socket is connected to ``peer``.

        Raises KernelError, with the cure for each refusal of pppol2tp_connect.
        """
        if local_tunnel_id in self._tunnels:
            error = OSError(errno.EEXIST, "")
            raise refusal("open tunnel", error, str(local_tunnel_id))
        tunnel = PppoxTunnel(udp_fd, local_tunnel_id, peer_tunnel_id, peer)
        self._tunnels[local_tunnel_id] = tunnel

    def create_session(
        self,
        local_tunnel_id: int,
        local_session_id: int,
        peer_session_id: int,
        options: SessionOptions,
    ) -> None:
        """Open a session's socket in an open tunnel; raises KernelError."""
        tunnel = self._find(local_tunnel_id, "open session")
        tunnel.open_session(local_session_id, peer_session_id, options)

    def configure_session(
        self, local_tunnel_id: int, local_session_id: int, options: SessionOptions
    ) -> None:
        """Set an open session's options anew; raises KernelError."""
        self.session(local_tunnel_id, local_session_id).configure(options)

    def session(self, local_tunnel_id: int, local_session_id: int) -> PppoxSession:
        """Return an open session, for its descriptor and its channel; raises KernelError."""
        session = self._find(local_tunnel_id, "find session").session(local_session_id)
        if session is None:
            raise refusal("find session", OSError(errno.ENOENT, ""), str(local_session_id))
        return session

    def statistics(
        self, local_tunnel_id: int, local_session_id: int | None = None
    ) -> DataPlaneStatistics:
        """Read the driver's counters of a session, or of the whole tunnel; raises KernelError."""
        if local_session_id is None:
            return self._find(local_tunnel_id, "read statistics").stats()
        return self.session(local_tunnel_id, local_session_id).stats()

    def shares_ports(self) -> bool:
        """Tell whether tunnels may have the same addresses and the same ports."""
        return finds_sessions_by_ids()

    def has_tunnel(self, local_tunnel_id: int) -> bool:
        """Tell whether a tunnel is open."""
        return local_tunnel_id in self._tunnels

    def close_session(self, local_tunnel_id: int, local_session_id: int) -> None:
        """Close a session's socket; one that is not there stays so."""
        if tunnel := self._tunnels.get(local_tunnel_id):
            tunnel.close_session(local_session_id)

    def close_tunnel(self, local_tunnel_id: int) -> None:
        """Close a tunnel's session sockets and its management socket, in this order."""
        if tunnel := self._tunnels.pop(local_tunnel_id, None):
            tunnel.close()

    def close(self) -> None:
        """Close every tunnel."""
        for local_tunnel_id in tuple(self._tunnels):
            self.close_tunnel(local_tunnel_id)

    def _find(self, local_tunnel_id: int, operation: str) -> PppoxTunnel:
        tunnel = self._tunnels.get(local_tunnel_id)
        if tunnel is None:
            raise refusal(operation, OSError(errno.ENOENT, ""), f"of tunnel {local_tunnel_id}")
        return tunnel


def require_driver() -> None:
    """Make sure that this kernel has the driver, which it loads if it may; raises KernelError."""
    _open_pppox_socket().close()


def _open_pppox_socket() -> socket.socket:
    with _naming("socket", "PPPoL2TP"):
        # The kernel loads pppox and l2tp_ppp by their aliases when it may.
        return socket.socket(uapi.AF_PPPOX, socket.SOCK_DGRAM, uapi.PX_PROTO_OL2TP)


def _stats(pppox: socket.socket, subject: str) -> DataPlaneStatistics:
    with _naming("read statistics", subject):
        answer = fcntl.ioctl(pppox, uapi.PPPIOCGL2TPSTATS, bytes(uapi.PPPOL2TP_IOC_STATS.size))
    return uapi.unpack_stats(answer)


@contextmanager
def _naming(operation: str, subject: str) -> Iterator[None]:
    """Turn an OSError of the block into a KernelError that names the step."""
    try:
        yield
    except OSError as error:
        raise refusal(operation, error, subject) from error
