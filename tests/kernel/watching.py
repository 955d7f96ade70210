"""Eyes of a test: the driver's tracepoints through tracefs, and datagrams on loopback."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_TRACING = Path("/sys/kernel/tracing")
_EVENT = re.compile(r"\b(?P<name>(?:session|tunnel|register|delete|free)_?\w*): (?P<text>.*)$")

_ETH_P_IP = 0x0800
_IP_UDP_OCTETS = 28
_SEQUENCE_BIT = 0x0800


class Trace:
    """A trace instance of its own, which nobody else's tracing disturbs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def events(self) -> list[str]:
        """The names of the l2tp tracepoints that fired so far, oldest first."""
        return [name for name, _ in self.lines()]

    def lines(self) -> list[tuple[str, str]]:
        """Their names, and what they say."""
        found = map(_EVENT.search, (self._folder / "trace").read_text().splitlines())
        return [(match["name"], match["text"]) for match in found if match]


@contextmanager
def l2tp_tracepoints() -> Iterator[Trace]:
    """Watch all tracepoints of the group l2tp, in every namespace."""
    folder = _TRACING / "instances" / f"test-{os.getpid()}"
    folder.mkdir()
    try:
        enable = folder / "events/l2tp/enable"
        enable.write_text("1")
        yield Trace(folder)
        enable.write_text("0")
    finally:
        folder.rmdir()


class Header(NamedTuple):
    """The ids in one data message's header: the receiver's own."""

    tunnel_id: int
    session_id: int


class Sent(NamedTuple):
    """One data message on the wire: the port it left from, and its Ns where it has one."""

    port: int
    ns: int | None


@contextmanager
def capture() -> Iterator[Capture]:
    """Capture the data messages that cross loopback from now on, as they come in."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)) as sniffer:
        sniffer.bind(("lo", _ETH_P_IP))
        sniffer.setblocking(False)
        yield Capture(sniffer)


class Capture:
    """What a packet socket has caught; each look empties it."""

    def __init__(self, sniffer: socket.socket) -> None:
        self._sniffer = sniffer

    def sent(self) -> list[Sent]:
        """The data messages since the last look, in the order of the wire."""
        return [message for packet in self._packets() if (message := _data_message(packet))]

    def headers(self) -> list[Header]:
        """The ids in the data messages since the last look, in the order of the wire."""
        return [
            Header(*struct.unpack_from("!2H", packet, _IP_UDP_OCTETS + 2))
            for packet in self._packets()
            if _data_message(packet)
        ]

    def _packets(self) -> Iterator[bytes]:
        while True:
            try:
                yield self._sniffer.recv(2048)
            except BlockingIOError:
                return


def _data_message(packet: bytes) -> Sent | None:
    if packet[9] != socket.IPPROTO_UDP or len(packet) < _IP_UDP_OCTETS + 6:
        return None
    (port,) = struct.unpack_from("!H", packet, 20)
    (flags,) = struct.unpack_from("!H", packet, _IP_UDP_OCTETS)
    if flags & 0x8000:
        return None
    numbered = flags & _SEQUENCE_BIT
    ns = struct.unpack_from("!H", packet, _IP_UDP_OCTETS + 6)[0] if numbered else None
    return Sent(port, ns)
