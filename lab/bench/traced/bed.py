"""Two namespaces on one wire with one session between them, and packets through it."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from l2tp.dataplane import SessionOptions
from l2tp.kernel.ppp import Channel, Unit
from l2tp.kernel.pppox import PppoxSession, PppoxTunnel
from l2tp.kernel.udp import open_udp_socket
from l2tp.protocol.parameters import Address
from lab.network.namespaces import FOLDER, in_netns
from probes.hooks import modules

Result = TypeVar("Result")

_WIRE = ("192.0.2.1", "192.0.2.2")
_INNER = ("10.64.0.1", "10.64.0.2")
_AWAY = "10.65.0.0/24"
_TARGET = "10.65.0.1"
_IDS = ((7, 9), (17, 19))
_MTU = 1400
_PORT = 9
# linux/udp.h
_UDP_SEGMENT = 103
_BATCH = 40
_IP_UDP_OCTETS = 28

#: The lengths of IP packet that are measured, in octets.
LENGTHS = {"full size": _MTU, "64 bytes": 64}


class Bed:
    """The namespaces, the tunnel and the session; all of it goes with the context."""

    def __init__(self, name: str = "l2tp-bench") -> None:
        self.names = (f"{name}-{os.getpid()}-left", f"{name}-{os.getpid()}-right")
        self._stack = ExitStack()
        self.sessions: list[PppoxSession] = []

    def __enter__(self) -> Self:
        modules.load_driver()
        with ExitStack() as undo:
            self._stack = undo
            for name in self.names:
                _ip("netns", "add", name)
                undo.callback(_ip, "netns", "del", name)
            left, right = self.names
            wire = ("type", "veth", "peer", "name", "wire", "netns", right)
            _ip("link", "add", "wire", "netns", left, *wire)
            for side in (0, 1):
                _ip("-n", self.names[side], "addr", "add", f"{_WIRE[side]}/24", "dev", "wire")
                _ip("-n", self.names[side], "link", "set", "wire", "up")
            for side in (0, 1):
                self._inside(side, partial(self._open_end, side))
            self._lead_away()
            self._stack = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _inside(self, side: int, work: Callable[[], Result]) -> Result:
        handle = os.open(FOLDER / self.names[side], os.O_RDONLY | os.O_CLOEXEC)
        try:
            return in_netns(handle, work)
        finally:
            os.close(handle)

    def _lead_away(self) -> None:
        """Let the right end send on what comes: nothing is dropped, and nobody answers."""
        left, right = self.names
        _ip("-n", right, "link", "add", "away", "type", "dummy")
        _ip("-n", right, "link", "set", "away", "up")
        _ip("-n", right, "route", "add", _AWAY, "dev", "away")
        self._inside(1, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        _ip("-n", left, "route", "add", _AWAY, "via", _INNER[1])

    def _open_end(self, side: int) -> None:
        keep = self._stack
        peer = Address(_WIRE[1 - side], 1701)
        udp = open_udp_socket((_WIRE[side], 1701), peer)
        keep.callback(udp.close)
        (tunnel_id, session_id), (peer_tunnel, peer_session) = _IDS[side], _IDS[1 - side]
        tunnel = PppoxTunnel(udp.fileno(), tunnel_id, peer_tunnel, peer)
        keep.callback(tunnel.close)
        session = tunnel.open_session(session_id, peer_session, SessionOptions())
        channel = keep.enter_context(Channel(session.channel()))
        unit = keep.enter_context(Unit())
        channel.connect(unit.number)
        where = ("-n", self.names[side])
        device = f"ppp{unit.number}"
        _ip(*where, "addr", "add", _INNER[side], "peer", _INNER[1 - side], "dev", device)
        _ip(*where, "link", "set", device, "mtu", str(_MTU), "up")
        self.sessions.append(session)

    @property
    def inodes(self) -> set[int]:
        """The inode numbers of both namespaces, as BPF knows them."""
        return {(FOLDER / name).stat().st_ino for name in self.names}

    @property
    def received(self) -> int:
        """How many packets the driver has received at the right end."""
        return self.sessions[1].stats().rx_packets

    @property
    def sent(self) -> int:
        """How many packets the driver has sent at the left end."""
        return self.sessions[0].stats().tx_packets

    def source(self, length: int) -> Source:
        """Make a sender of IP packets of ``length`` octets."""
        return Source(self._inside(0, _sending_socket), length)


class Source:
    """Sends UDP through the tunnel: many datagrams a system call, where the kernel takes that."""

    def __init__(self, sender: socket.socket, length: int) -> None:
        self._sender = sender
        payload = length - _IP_UDP_OCTETS
        self._batch = _BATCH if self._can_segment(payload) else 1
        self._data = bytes(payload * self._batch)

    def _can_segment(self, payload: int) -> bool:
        """Try whether the kernel cuts a large datagram up (for ppp devices since Linux 6.11)."""
        try:
            self._sender.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, payload)
            self._sender.send(bytes(payload * 2))
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EINVAL, errno.ENOPROTOOPT):
                raise
            self._sender.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 0)
            return False
        return True

    def send(self, packets: int) -> None:
        """Send at least so many packets, as fast as it goes."""
        send, data = self._sender.send, self._data
        for _ in range(-(-packets // self._batch)):
            send(data)

    def send_for(self, seconds: float) -> None:
        """Send for so long, as fast as it goes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.send(self._batch * 4)

    def close(self) -> None:
        """End it."""
        self._sender.close()


def _sending_socket() -> socket.socket:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((_TARGET, _PORT))
    return sender


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
