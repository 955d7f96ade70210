"""Bounded reading and plain writing of octets, network order (RFC 2661 §3.1).

A Reader never sees past the bound it was given, and `finish()` insists that the bound was reached:
too little and too much are the same kind of mistake.
"""

from __future__ import annotations

import struct
from typing import Final

from l2tp.protocol.constants import ErrorCode
from l2tp.protocol.errors import RemoteProtocolError

_UINT16: Final = struct.Struct(">H")
_UINT32: Final = struct.Struct(">I")


class Reader:
    """Reads `data[start:end]` and nothing else; errors cite `section` of RFC 2661.

    Every read raises RemoteProtocolError (error code 2, "length is wrong") where the bound ends
    before the value does.
    """

    __slots__ = ("_data", "_end", "_position", "_section")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None, *, section: str):
        self._data = data
        self._position = start
        self._end = len(data) if end is None else min(end, len(data))
        self._section = section

    @property
    def remaining(self) -> int:
        """Octets between here and the bound."""
        return self._end - self._position

    def uint8(self) -> int:
        """Take one octet."""
        return self._data[self._take(1)]

    def uint16(self) -> int:
        """Take two octets."""
        value: int = _UINT16.unpack_from(self._data, self._take(2))[0]
        return value

    def uint32(self) -> int:
        """Take four octets."""
        value: int = _UINT32.unpack_from(self._data, self._take(4))[0]
        return value

    def octets(self, count: int) -> bytes:
        """Take `count` octets."""
        start = self._take(count)
        return self._data[start : self._position]

    def rest(self) -> bytes:
        """Take everything up to the bound."""
        return self.octets(self.remaining)

    def bounded(self, count: int) -> Reader:
        """Take the next `count` octets as a Reader of their own."""
        start = self._take(count)
        return Reader(self._data, start, self._position, section=self._section)

    def finish(self) -> None:
        """Raise RemoteProtocolError unless every octet was taken."""
        if self.remaining:
            raise self._wrong_length(f"{self.remaining} octets are left over")

    def _take(self, count: int) -> int:
        position = self._position
        if not 0 <= count <= self._end - position:
            raise self._wrong_length(f"{count} octets are needed, {self.remaining} are there")
        self._position = position + count
        return position

    def _wrong_length(self, text: str) -> RemoteProtocolError:
        return RemoteProtocolError(text, section=self._section, error=ErrorCode.LENGTH_IS_WRONG)


class Writer:
    """Collects octets; the counterpart of Reader."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def uint8(self, value: int) -> Writer:
        """Append one octet."""
        self._data.append(value)
        return self

    def uint16(self, value: int) -> Writer:
        """Append two octets."""
        self._data += _UINT16.pack(value)
        return self

    def uint32(self, value: int) -> Writer:
        """Append four octets."""
        self._data += _UINT32.pack(value)
        return self

    def octets(self, value: bytes) -> Writer:
        """Append `value` as it is."""
        self._data += value
        return self

    def getvalue(self) -> bytes:
        """Everything appended so far."""
        return bytes(self._data)
