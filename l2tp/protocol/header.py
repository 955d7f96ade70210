"""The header of control and data messages (RFC 2661 §3.1)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from l2tp.protocol.constants import HEADER_VERSION
from l2tp.protocol.errors import HeaderError

TYPE_BIT: Final = 0x8000
LENGTH_BIT: Final = 0x4000
SEQUENCE_BIT: Final = 0x0800
OFFSET_BIT: Final = 0x0200
PRIORITY_BIT: Final = 0x0100

CONTROL_HEADER_SIZE: Final = 12
"""Octets of a control header, whose optional fields are all there save the offset."""

_SECTION: Final = "§3.1"
_CONTROL_FLAGS: Final = TYPE_BIT | LENGTH_BIT | SEQUENCE_BIT | HEADER_VERSION
_VERSION_MASK: Final = 0x000F
_CONTROL: Final = struct.Struct(">HHHHHH")
_OTHER_VERSIONS: Final = {1: " (L2F)", 3: " (L2TPv3)"}
_UINT16: Final = struct.Struct(">H")
_PAIR: Final = struct.Struct(">HH")


class ControlHeader(NamedTuple):
    """Header of a control message: ids are the receiver's, `length` counts header and body."""

    length: int
    tunnel_id: int
    session_id: int
    ns: int
    nr: int


class DataHeader(NamedTuple):
    """Header of a data message; the PPP frame lies in `data[payload_start:payload_end]`.

    `ns` is None when the message carries no sequence numbers.
    """

    tunnel_id: int
    session_id: int
    ns: int | None
    nr: int | None
    payload_start: int
    payload_end: int


def decode_header(data: bytes) -> ControlHeader | DataHeader:
    """Read the header of one datagram.

    Reserved bits are ignored, as are octets after the Length. Raises HeaderError for what RFC 2661
    §7.1 says to discard: too short, another version, a control message without L and S or with
    an offset, a Length that does not fit.
    """
    if len(data) < 2:
        raise HeaderError(f"{len(data)} octets hold no header", section=_SECTION)
    flags = (data[0] << 8) | data[1]
    # The Ver field MUST be 2; anything else MUST be discarded (§3.1).
    if flags & _VERSION_MASK != HEADER_VERSION:
        version = flags & _VERSION_MASK
        name = _OTHER_VERSIONS.get(version, "")
        raise HeaderError(f"the version is {version}{name}, not 2", section=_SECTION)
    return _decode_control(data, flags) if flags & TYPE_BIT else _decode_data(data, flags)


def _decode_control(data: bytes, flags: int) -> ControlHeader:
    # L and S MUST be set in control messages, O MUST NOT (§3.1).
    if not flags & LENGTH_BIT or not flags & SEQUENCE_BIT or flags & OFFSET_BIT:
        raise HeaderError(f"a control message cannot have flags {flags:#06x}", section=_SECTION)
    if len(data) < CONTROL_HEADER_SIZE:
        raise HeaderError(f"{len(data)} octets are no control header", section=_SECTION)
    _, length, tunnel_id, session_id, ns, nr = _CONTROL.unpack_from(data)
    if not CONTROL_HEADER_SIZE <= length <= len(data):
        raise HeaderError(
            f"the Length is {length}, the datagram has {len(data)} octets", section=_SECTION
        )
    return ControlHeader(length, tunnel_id, session_id, ns, nr)


def _decode_data(data: bytes, flags: int) -> DataHeader:
    end = len(data)
    position = 2
    try:
        if flags & LENGTH_BIT:
            (length,) = _UINT16.unpack_from(data, position)
            position += 2
            if length > end:
                raise HeaderError(
                    f"the Length is {length}, the datagram has {end} octets", section=_SECTION
                )
            end = length
        tunnel_id, session_id = _PAIR.unpack_from(data, position)
        position += 4
        ns = nr = None
        if flags & SEQUENCE_BIT:
            ns, nr = _PAIR.unpack_from(data, position)
            position += 4
        if flags & OFFSET_BIT:
            (offset,) = _UINT16.unpack_from(data, position)
            position += 2 + offset
    except struct.error:
        raise HeaderError(f"{len(data)} octets are no data header", section=_SECTION) from None
    if position > end:
        raise HeaderError(f"the header ends at {position}, the message at {end}", section=_SECTION)
    return DataHeader(tunnel_id, session_id, ns, nr, position, end)


def encode_control(tunnel_id: int, session_id: int, ns: int, nr: int, body: bytes = b"") -> bytes:
    """Put the header before `body`, whose AVPs are encoded; no body makes a ZLB (§5.8)."""
    length = CONTROL_HEADER_SIZE + len(body)
    return _CONTROL.pack(_CONTROL_FLAGS, length, tunnel_id, session_id, ns, nr) + body


def encode_data(
    tunnel_id: int, session_id: int, payload: bytes, *, ns: int | None = None, nr: int = 0
) -> bytes:
    """Put the smallest data header before a PPP frame; `ns` adds the sequence numbers (§5.4)."""
    if ns is None:
        return _UINT16.pack(HEADER_VERSION) + _PAIR.pack(tunnel_id, session_id) + payload
    flags = _UINT16.pack(HEADER_VERSION | SEQUENCE_BIT)
    return flags + _PAIR.pack(tunnel_id, session_id) + _PAIR.pack(ns, nr) + payload
