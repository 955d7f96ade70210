"""/dev/ppp channels and units, for those who speak PPP without pppd.

A channel carries frames of one session socket; a unit is a ppp interface; a channel connected to
a unit gives it its traffic (``drivers/net/ppp/ppp_generic.c``). Frames of protocols from 0xc000 up
are read and written on the channel.
"""

import fcntl
import os
import struct
from types import TracebackType
from typing import Final, Self

from l2tp.kernel import uapi
from l2tp.kernel.errors import refusal
from l2tp.protocol.errors import KernelError

_INT: Final = struct.Struct("=i")
_DEVICE: Final = "/dev/ppp"


class _PppFile:
    """An open /dev/ppp, closed once."""

    def __init__(self) -> None:
        try:
            self._fd = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise refusal("open /dev/ppp", error) from error

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._fd

    def close(self) -> None:
        """Let the channel or unit go; closing a unit that this file made removes its interface."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _ioctl(self, operation: str, request: int, value: int = 0) -> int:
        try:
            answer = fcntl.ioctl(self._fd, request, _INT.pack(value))
        except OSError as error:
            raise refusal(operation, error) from error
        return int(_INT.unpack(answer)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Channel(_PppFile):
    """The PPP channel of one session socket, by the number that PPPIOCGCHAN gave."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        try:
            self._ioctl("attach to channel", uapi.PPPIOCATTCHAN, number)
        except KernelError:
            self.close()
            raise

    def connect(self, unit: int) -> None:
        """Give the interface ``unit`` this channel's traffic (PPPIOCCONNECT)."""
        self._ioctl("connect channel", uapi.PPPIOCCONNECT, unit)

    def bridge(self, other: int) -> None:
        """Pass every frame on to channel ``other`` and back (PPPIOCBRIDGECHAN, Linux 5.11)."""
        self._ioctl("bridge channels", uapi.PPPIOCBRIDGECHAN, other)

    def unbridge(self) -> None:
        """End the bridge of this channel (PPPIOCUNBRIDGECHAN)."""
        self._ioctl("unbridge channel", uapi.PPPIOCUNBRIDGECHAN)

    def send(self, frame: bytes) -> None:
        """Send a PPP frame that begins with its protocol field."""
        os.write(self._fd, frame)

    def receive(self) -> bytes | None:
        """Return the next queued frame of a protocol from 0xc000 up, or None."""
        try:
            return os.read(self._fd, 65536)
        except BlockingIOError:
            return None


class Unit(_PppFile):
    """A ppp interface of our own; it lives as long as this object is open."""

    def __init__(self, number: int = -1) -> None:
        """Make the interface ppp``number``; -1 takes the first free one (PPPIOCNEWUNIT)."""
        super().__init__()
        try:
            self.number = self._ioctl("make unit", uapi.PPPIOCNEWUNIT, number)
        except KernelError:
            self.close()
            raise
