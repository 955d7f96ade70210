"""Two namespaces, one tunnel: the least that brings datagrams to the driver's hook.

Raw PPPoL2TP sockets and PPP units without a daemon and without pppd, so that
every frame on the wire is one that a test has sent. Sources of the layouts:
include/uapi/linux/if_pppol2tp.h, if_pppox.h, ppp-ioctl.h.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from probes.hooks.spec import Style

AF_PPPOX = 24
PX_PROTO_OL2TP = 1
SOL_PPPOL2TP = 273
SO_RECVSEQ, SO_SENDSEQ, SO_LNSMODE, SO_REORDERTO = 2, 3, 4, 5

PPPIOCGL2TPSTATS = 0x80487436
PPPIOCGCHAN = 0x80047437
PPPIOCATTCHAN = 0x40047438
PPPIOCCONNECT = 0x4004743A
PPPIOCNEWUNIT = 0xC004743E
PPPIOCBRIDGECHAN = 0x40047435

PPP_IP = b"\x00\x21"
PPP_LCP = b"\xc0\x21"

# struct pppol2tp_ioc_stats: two ids, a bit field, and these as 64-bit words.
STATS = (
    "tx_packets", "tx_bytes", "tx_errors",
    "rx_packets", "rx_bytes", "rx_seq_discards", "rx_oos_packets", "rx_errors",
)  # fmt: skip

# Each way of attaching in turn; the short tier takes the better one.
STYLES = [
    pytest.param(style, id=style.value, marks=[] if style is Style.FENTRY else pytest.mark.long)
    for style in Style
]

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def command(*argv: str) -> str:
    """Run a command and give its output; its words when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr or done.stdout}")
    return done.stdout


@dataclass
class Namespace:
    """A network namespace of a test's own."""

    name: str

    def __post_init__(self) -> None:
        command("ip", "netns", "add", self.name)
        with self.inside():  # these files are those of the namespace that opens them
            for which in ("all", "default"):  # IPv6 would send frames of its own
                Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")

    @property
    def inum(self) -> int:
        """The inode number that the probes know it by."""
        return Path(f"/run/netns/{self.name}").stat().st_ino

    def ip(self, *arguments: str) -> str:
        """Run ip(8) inside."""
        return command("ip", "-n", self.name, *arguments)

    def run(self, *argv: str) -> str:
        """Run a command inside."""
        return command("ip", "netns", "exec", self.name, *argv)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread make sockets inside."""
        with (
            Path("/proc/thread-self/ns/net").open() as before,
            Path(f"/run/netns/{self.name}").open() as there,
        ):
            _check(_libc.setns(there.fileno(), _CLONE_NEWNET), "setns")
            try:
                yield
            finally:
                _check(_libc.setns(before.fileno(), _CLONE_NEWNET), "setns")

    @contextlib.contextmanager
    def flood(self, address: str) -> Iterator[None]:
        """Ping an address inside as fast as it answers, for as long as the context lasts."""
        argv = ["ip", "netns", "exec", self.name, "ping", "-q", "-f", address]
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait()

    def interface(self, name: str, counter: str) -> int:
        """Read one counter of an interface inside."""
        (link,) = json.loads(self.ip("-s", "-j", "link", "show", "dev", name))
        side, _, what = counter.partition("_")
        return int(link["stats64"][side][what])

    def delete(self) -> None:
        """Remove it."""
        command("ip", "netns", "del", self.name)


@dataclass
class Session:
    """A PPPoL2TP session socket, and the PPP unit and interface on it if there is one."""

    namespace: Namespace
    fd: int
    session_id: int
    peer_session_id: int
    interface: str = ""
    files: list[int] = field(default_factory=list)

    def attach_unit(self, address: str, peer: str) -> None:
        """Join the session's channel to a new PPP unit and bring its interface up."""
        with self.namespace.inside():
            (channel,) = struct.unpack("i", fcntl.ioctl(self.fd, PPPIOCGCHAN, b"\0" * 4))
            channel_fd = os.open("/dev/ppp", os.O_RDWR | os.O_NONBLOCK)
            self.files.append(channel_fd)
            fcntl.ioctl(channel_fd, PPPIOCATTCHAN, struct.pack("i", channel))
            unit_fd = os.open("/dev/ppp", os.O_RDWR | os.O_NONBLOCK)
            self.files.append(unit_fd)
            answer = fcntl.ioctl(unit_fd, PPPIOCNEWUNIT, struct.pack("i", -1))
            (unit,) = struct.unpack("i", answer)
            fcntl.ioctl(channel_fd, PPPIOCCONNECT, struct.pack("i", unit))
        self.interface = f"ppp{unit}"
        self.namespace.ip("addr", "add", address, "peer", peer, "dev", self.interface)
        self.namespace.ip("link", "set", self.interface, "up")

    def bridge_to(self, other: "Session") -> None:
        """Let the kernel send what arrives for one session out by the other, both ways."""
        with self.namespace.inside():
            (own,) = struct.unpack("i", fcntl.ioctl(self.fd, PPPIOCGCHAN, b"\0" * 4))
            (peer,) = struct.unpack("i", fcntl.ioctl(other.fd, PPPIOCGCHAN, b"\0" * 4))
            channel_fd = os.open("/dev/ppp", os.O_RDWR | os.O_NONBLOCK)
            self.files.append(channel_fd)
            fcntl.ioctl(channel_fd, PPPIOCATTCHAN, struct.pack("i", own))
            fcntl.ioctl(channel_fd, PPPIOCBRIDGECHAN, struct.pack("i", peer))

    def send_ppp(self, frame: bytes) -> None:
        """Send a PPP frame through the channel, as pppd does for LCP."""
        os.write(self.files[0], frame)

    def option(self, name: int, value: int) -> None:
        """Set an option of the driver."""
        raw = struct.pack("i", value)
        _check(_libc.setsockopt(self.fd, SOL_PPPOL2TP, name, raw, len(raw)), "setsockopt")

    def stats(self) -> dict[str, int]:
        """Read the driver's own statistics of the session (PPPIOCGL2TPSTATS)."""
        request = struct.pack("=HHI", 0, self.session_id, 0) + b"\0" * 64
        words = struct.unpack("=8x8Q", fcntl.ioctl(self.fd, PPPIOCGL2TPSTATS, request))
        return dict(zip(STATS, words, strict=True))

    def close(self) -> None:
        """Close the unit, the channel and the session."""
        while self.files:
            os.close(self.files.pop())
        os.close(self.fd)


@dataclass
class Tunnel:
    """One end: a connected UDP socket, the driver's management socket, the sessions."""

    namespace: Namespace
    udp: socket.socket
    tunnel_id: int
    peer_tunnel_id: int
    peer: tuple[str, int]
    management_fd: int = -1
    sessions: list[Session] = field(default_factory=list)

    def open(self) -> None:
        """Tell the driver of the tunnel."""
        self.management_fd = self._pppox(0, 0)

    def add_session(self, session_id: int, peer_session_id: int) -> Session:
        """Tell the driver of a session, as soon as it has let an earlier one with these ids go.

        A work queue does that (l2tp_core.c: l2tp_session_delete), after the socket was closed.
        """
        deadline = time.monotonic() + 60
        while True:
            try:
                fd = self._pppox(session_id, peer_session_id)
                break
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        session = Session(self.namespace, fd, session_id, peer_session_id)
        self.sessions.append(session)
        return session

    def _pppox(self, session_id: int, peer_session_id: int) -> int:
        """Make a PPPoL2TP socket (struct sockaddr_pppol2tp: packed)."""
        address = struct.pack("=HIii", AF_PPPOX, PX_PROTO_OL2TP, 0, self.udp.fileno())
        ids = struct.pack("=4H", self.tunnel_id, session_id, self.peer_tunnel_id, peer_session_id)
        end = struct.pack("=H", self.udp.family) + struct.pack("!H", self.peer[1])
        if self.udp.family == socket.AF_INET6:  # struct sockaddr_pppol2tpin6: the ids come first
            end += bytes(4) + socket.inet_pton(socket.AF_INET6, self.peer[0]) + bytes(4)
            address += ids + end
        else:
            address += end + socket.inet_aton(self.peer[0]) + bytes(8) + ids
        with self.namespace.inside():
            fd = _check(_libc.socket(AF_PPPOX, socket.SOCK_DGRAM, PX_PROTO_OL2TP), "socket")
        try:
            _check(_libc.connect(fd, address, len(address)), "connect")
        except OSError:
            os.close(fd)
            raise
        return fd

    def send_zlb(self, length: int = 12) -> None:
        """Send a control message that says nothing (RFC 2661 §5.8), padded to length octets."""
        header = struct.pack("!6H", 0xC802, length, self.peer_tunnel_id, 0, 0, 0)
        self.udp.send(header + b"\0" * (length - len(header)))

    def send_data(self, session_id: int, ppp: bytes, ns: int | None = None) -> int:
        """Send a data message to a session of the peer; gives its length in octets."""
        message = data_message(self.peer_tunnel_id, session_id, ppp, ns)
        self.udp.send(message)
        return len(message)

    def close(self) -> None:
        """Close everything, sessions first."""
        while self.sessions:
            self.sessions.pop().close()
        if self.management_fd >= 0:
            os.close(self.management_fd)
        self.udp.close()


def data_message(
    tunnel_id: int, session_id: int, ppp: bytes, ns: int | None = None, nr: int = 0
) -> bytes:
    """Build a data message (RFC 2661 §3.1) that carries a PPP frame."""
    if ns is None:
        return struct.pack("!3H", 0x0002, tunnel_id, session_id) + b"\xff\x03" + ppp
    header = struct.pack("!5H", 0x0802, tunnel_id, session_id, ns, nr)
    return header + b"\xff\x03" + ppp


def ip_packet(length: int = 28) -> bytes:
    """Build an IPv4 packet that no host answers: UDP to port 9 of a documentation address."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, 64, 17, 0)
    header += socket.inet_aton("192.0.2.77") + socket.inet_aton("192.0.2.78")
    return header + struct.pack("!4H", 9, 9, length - 20, 0) + b"\0" * (length - 28)


@dataclass
class Pair:
    """Two namespaces on one wire, with a tunnel and a session between them."""

    left: Tunnel
    right: Tunnel

    @property
    def ends(self) -> tuple[Tunnel, Tunnel]:
        """Both ends."""
        return self.left, self.right

    def settle(self) -> None:
        """Wait until all that was sent has been received: a datagram behind it has arrived."""
        for sender, receiver in ((self.left, self.right), (self.right, self.left)):
            sender.send_zlb(length=16)
            receiver.udp.settimeout(30)
            while len(receiver.udp.recv(4096)) != 16:
                pass

    @contextlib.contextmanager
    def second_tunnel(self, port: int = 1702) -> Iterator[tuple[Tunnel, Tunnel]]:
        """Build another tunnel between the two, with ids one above those of the first."""
        with contextlib.ExitStack() as undo:
            ends = []
            for first in self.ends:
                with first.namespace.inside():
                    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                peer = (first.peer[0], port)
                end = Tunnel(
                    first.namespace, udp, first.tunnel_id + 1, first.peer_tunnel_id + 1, peer
                )
                undo.callback(end.close)
                udp.bind((first.udp.getsockname()[0], port))
                udp.connect(peer)
                end.open()
                session = first.sessions[0]
                end.add_session(session.session_id + 1, session.peer_session_id + 1)
                ends.append(end)
            yield ends[0], ends[1]

    def settle_right(self) -> None:
        """The same for what the left end has sent, also where the wire doubles packets."""
        self.left.send_zlb(length=16)
        self.right.udp.settimeout(30)
        while len(self.right.udp.recv(4096)) != 16:
            pass


SETTLE_OCTETS = 16
SO_ZEROCOPY = 60
MSG_ZEROCOPY = 0x4000000


@contextlib.contextmanager
def tunnel_pair(
    prefix: str,
    left_ids: tuple[int, int] = (7, 9),
    right_ids: tuple[int, int] = (7, 9),
    family: int = 4,
) -> Iterator[Pair]:
    """Build two namespaces, a wire, a tunnel and a session; remove them in the end.

    prefix: begins the namespaces' names. left_ids, right_ids: the (tunnel,
    session) ids that each end chose. family: of the wire's addresses.
    """
    wire = "192.0.2.{}" if family == 4 else "2001:db8::{}"
    length = 24 if family == 4 else 64
    with contextlib.ExitStack() as undo:
        spaces = []
        for side in ("left", "right"):
            space = Namespace(f"{prefix}-{side}")
            undo.callback(space.delete)
            spaces.append(space)
        command(
            "ip", "link", "add", "wire", "netns", spaces[0].name,
            "type", "veth", "peer", "name", "wire", "netns", spaces[1].name,
        )  # fmt: skip
        for number, space in enumerate(spaces, 1):
            if family == 6:
                with space.inside():
                    for which in ("wire", "default"):
                        Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("0")
                space.ip("addr", "add", f"{wire.format(number)}/{length}", "nodad", "dev", "wire")
            else:
                space.ip("addr", "add", f"{wire.format(number)}/{length}", "dev", "wire")
            space.ip("link", "set", "wire", "up")
        ends = []
        for number, (space, own, peer) in enumerate(
            zip(spaces, (left_ids, right_ids), (right_ids, left_ids), strict=True), 1
        ):
            with space.inside():
                address_family = socket.AF_INET if family == 4 else socket.AF_INET6
                udp = socket.socket(address_family, socket.SOCK_DGRAM)
            end = Tunnel(space, udp, own[0], peer[0], (wire.format(3 - number), 1701))
            undo.callback(end.close)
            udp.bind((wire.format(number), 1701))
            udp.connect(end.peer)
            end.open()
            end.add_session(own[1], peer[1])
            ends.append(end)
        yield Pair(*ends)


def send_out_of_line(pair: Pair, session_id: int) -> int:
    """Send a frame whose L2TP header lies in a page, behind the linear buffer; its length."""
    message = data_message(pair.right.tunnel_id, session_id, PPP_IP + ip_packet(200))
    pair.left.udp.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    pair.left.udp.send(message, MSG_ZEROCOPY)
    return len(message)


def row_of(snapshot: Any, end: Tunnel, session_id: int) -> dict[str, Any]:
    """Find the figures of one session of one end; nothing when there are none."""
    for row in reversed(snapshot["figures"]):  # the latest namespace of this number
        if (row["netns"], row["tunnel_id"], row["session_id"]) == (
            end.namespace.inum,
            end.tunnel_id,
            session_id,
        ):
            return dict(row)
    return {}
