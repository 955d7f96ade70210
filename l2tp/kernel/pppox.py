"""PPPoL2TP sockets: the tunnel's management socket and one socket per session.

A tunnel owns its management socket and its sessions, and closes them in the one order that
leaves nothing behind: sessions, management socket, and only then, by its owner, the UDP socket.
"""

import fcntl
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from l2tp.kernel import libc, uapi
from l2tp.kernel.errors import refusal

_INT: Final = struct.Struct("=i")


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How the driver treats a session's data packets (``linux/if_pppol2tp.h``)."""

    lns_mode: bool = False
    """Decide about sequence numbers (LNS) rather than follow the peer (LAC)."""
    send_sequence: bool = False
    """Number the packets that we send."""
    require_sequence: bool = False
    """Drop received packets that carry no number."""
    reorder_timeout_ms: int = 0
    """How long a packet ahead of a gap may wait for it; 0 does not reorder."""


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

    def stats(self) -> uapi.L2tpStats:
        """Return what the driver counted for the session (PPPIOCGL2TPSTATS)."""
        return _stats(self._socket, f"session {self.local_session_id}")

    def configure(self, options: SessionOptions) -> None:
        """Set the session's options; none of them is a default of the driver when set."""
        rows = (
            (uapi.SocketOption.LNSMODE, int(options.lns_mode)),
            (uapi.SocketOption.SENDSEQ, int(options.send_sequence)),
            (uapi.SocketOption.RECVSEQ, int(options.require_sequence)),
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

    ``udp`` is the tunnel's UDP socket, connected to the peer; it stays its owner's, who closes it
    after the tunnel. Raises KernelError ("socket", "open tunnel").
    """

    def __init__(self, udp: socket.socket, local_tunnel_id: int, peer_tunnel_id: int) -> None:
        self.local_tunnel_id = local_tunnel_id
        self.peer_tunnel_id = peer_tunnel_id
        self._udp = udp
        self._peer = _peer_of(udp)
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

    def stats(self) -> uapi.L2tpStats:
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
            address = uapi.pack_sockaddr(
                self._udp.fileno(),
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


def require_driver() -> None:
    """Make sure that this kernel has the driver, which it loads if it may; raises KernelError."""
    _open_pppox_socket().close()


def _open_pppox_socket() -> socket.socket:
    with _naming("socket", "PPPoL2TP"):
        # The kernel loads pppox and l2tp_ppp by their aliases when it may.
        return socket.socket(uapi.AF_PPPOX, socket.SOCK_DGRAM, uapi.PX_PROTO_OL2TP)


def _peer_of(udp: socket.socket) -> tuple[str, int]:
    with _naming("ask for the peer", "of the tunnel's UDP socket"):
        host, port, *_rest = udp.getpeername()
    return host, port


def _stats(pppox: socket.socket, subject: str) -> uapi.L2tpStats:
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
