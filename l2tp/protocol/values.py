"""The types of AVP values, and how each is read and written (RFC 2661 §4.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from l2tp.protocol.constants import ErrorCode
from l2tp.protocol.errors import RemoteProtocolError, ResultCode
from l2tp.protocol.extensions import DISCONNECT_MEANINGS
from l2tp.protocol.wire import Reader, Writer

CHALLENGE_RESPONSE_SIZE: Final = 16
_ADVISORY_SIZE: Final = 256
"""What we send of an advisory text at most, so that one never makes an AVP too large."""
_SECTION: Final = "§4.4"


class ProtocolVersion(NamedTuple):
    """Value of the Protocol Version AVP, two octets (§4.4.3)."""

    version: int
    revision: int


class Q931Cause(NamedTuple):
    """Value of the Q.931 Cause Code AVP: uint16, uint8 and optional ASCII (§4.4.4)."""

    cause: int
    message: int
    advisory: str = ""


class CallErrors(NamedTuple):
    """Value of the Call Errors AVP: six uint32 counters (§4.4.6)."""

    crc_errors: int
    framing_errors: int
    hardware_overruns: int
    buffer_overruns: int
    timeout_errors: int
    alignment_errors: int


class Accm(NamedTuple):
    """Value of the ACCM AVP: two uint32 character maps (§4.4.6)."""

    send: int
    receive: int


class DisconnectCause(NamedTuple):
    """Value of the PPP Disconnect Cause Code AVP: uint16, uint16, uint8 and UTF-8 (RFC 3145 §2).

    `code` is a DisconnectCode, `protocol` the PPP protocol number that it speaks of (0: none),
    `direction` a DisconnectDirection.
    """

    code: int
    protocol: int = 0
    direction: int = 0
    message: str = ""

    def describe(self) -> str:
        """Say it in words."""
        text = f"PPP cause {self.code}: {DISCONNECT_MEANINGS.get(self.code, 'unknown')}"
        return f"{text} ({self.message})" if self.message else text


class ConnectSpeedUpdate(NamedTuple):
    """Value of the Connect Speed Update AVP: uint16 and two uint32 in bit/s (RFC 5515).

    `session_id` is the receiver's. The speeds are 0 in a request.
    """

    session_id: int
    tx_connect_speed_bps: int
    rx_connect_speed_bps: int


class AccessLoopEncapsulation(NamedTuple):
    """Value of the Access Loop Encapsulation AVP: three uint8 (RFC 5515)."""

    data_link: int
    encapsulation_1: int
    encapsulation_2: int


@dataclass(frozen=True, slots=True)
class Format:
    """How a value travels: `decode` takes exactly the value's octets, `encode` makes them.

    `decode` raises RemoteProtocolError with the error code that the peer is told. The value's type
    differs by format, hence Any; the messages' fields are typed.
    """

    name: str
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def _refuse(text: str, error: ErrorCode) -> RemoteProtocolError:
    return RemoteProtocolError(text, section=_SECTION, error=error)


def _unsigned(name: str, layout: str, *, minimum: int = 0) -> Format:
    codec = struct.Struct(layout)
    size = codec.size
    unpack = codec.unpack

    def decode(data: bytes) -> int:
        if len(data) != size:
            raise _refuse(f"{len(data)} octets instead of {size}", ErrorCode.LENGTH_IS_WRONG)
        value: int = unpack(data)[0]
        if value < minimum:
            raise _refuse(f"{value} is below {minimum}", ErrorCode.VALUE_OUT_OF_RANGE)
        return value

    def encode(value: int) -> bytes:
        if value < minimum:
            raise ValueError(value)
        return codec.pack(value)

    return Format(name, decode, encode if minimum else codec.pack)


def _octets(name: str, *, minimum: int = 0, maximum: int | None = None) -> Format:
    def decode(data: bytes) -> bytes:
        if len(data) < minimum or (maximum is not None and len(data) > maximum):
            raise _refuse(f"{len(data)} octets are out of bounds", ErrorCode.LENGTH_IS_WRONG)
        return data

    def encode(value: bytes) -> bytes:
        if len(value) < minimum or (maximum is not None and len(value) > maximum):
            raise ValueError(value)
        return bytes(value)

    return Format(name, decode, encode)


def _text(name: str, *, minimum: int = 0) -> Format:
    def decode(data: bytes) -> str:
        if len(data) < minimum:
            raise _refuse("it is empty", ErrorCode.LENGTH_IS_WRONG)
        return data.decode("utf-8", "backslashreplace")

    def encode(value: str) -> bytes:
        octets = value.encode()
        if len(octets) < minimum:
            raise ValueError(value)
        return octets

    return Format(name, decode, encode)


def _advisory(text: str) -> bytes:
    octets = text.encode()
    if len(octets) <= _ADVISORY_SIZE:
        return octets
    return octets[:_ADVISORY_SIZE].decode(errors="ignore").encode()


def _decode_result(data: bytes) -> ResultCode:
    reader = Reader(data, section="§4.4.2")
    result = reader.uint16()
    error = reader.uint16() if reader.remaining else None
    return ResultCode(result, error, reader.rest().decode("utf-8", "backslashreplace"))


def _encode_result(value: ResultCode) -> bytes:
    writer = Writer().uint16(value.result)
    if value.error is not None or value.message:
        # A message needs the error code before it, even one that says nothing (§4.4.2).
        writer.uint16(value.error or 0).octets(_advisory(value.message))
    return writer.getvalue()


def _decode_q931(data: bytes) -> Q931Cause:
    reader = Reader(data, section="§4.4.4")
    cause, message = reader.uint16(), reader.uint8()
    return Q931Cause(cause, message, reader.rest().decode("utf-8", "backslashreplace"))


def _encode_q931(value: Q931Cause) -> bytes:
    head = Writer().uint16(value.cause).uint8(value.message)
    return head.octets(_advisory(value.advisory)).getvalue()


def _record(name: str, layout: str, kind: Callable[..., tuple[int, ...]]) -> Format:
    """Numbers side by side; reserved octets ("x") are sent as 0 and not looked at (§4.4.6)."""
    codec = struct.Struct(layout)

    def decode(data: bytes) -> tuple[int, ...]:
        if len(data) != codec.size:
            raise _refuse(f"{len(data)} octets instead of {codec.size}", ErrorCode.LENGTH_IS_WRONG)
        return kind(*codec.unpack(data))

    def encode(value: tuple[int, ...]) -> bytes:
        return codec.pack(*value)

    return Format(name, decode, encode)


def _decode_disconnect(data: bytes) -> DisconnectCause:
    reader = Reader(data, section="RFC 3145 §2")
    code, protocol, direction = reader.uint16(), reader.uint16(), reader.uint8()
    return DisconnectCause(
        code, protocol, direction, reader.rest().decode("utf-8", "backslashreplace")
    )


def _encode_disconnect(value: DisconnectCause) -> bytes:
    head = Writer().uint16(value.code).uint16(value.protocol).uint8(value.direction)
    return head.octets(_advisory(value.message)).getvalue()


def _decode_flag(data: bytes) -> bool:
    if data:
        raise _refuse(f"{len(data)} octets where none belong", ErrorCode.LENGTH_IS_WRONG)
    return True


def _decode_low_octet(data: bytes) -> int:
    if len(data) != 2:
        raise _refuse(f"{len(data)} octets instead of 2", ErrorCode.LENGTH_IS_WRONG)
    return data[1]


UINT16: Final = _unsigned("uint16", ">H")
UINT32: Final = _unsigned("uint32", ">I")
NON_ZERO_UINT16: Final = _unsigned("uint16, not 0", ">H", minimum=1)
TIE_BREAKER: Final = _octets("8 octets", minimum=8, maximum=8)
DIGEST: Final = _octets(
    "16 octets", minimum=CHALLENGE_RESPONSE_SIZE, maximum=CHALLENGE_RESPONSE_SIZE
)
OCTETS: Final = _octets("octets")
SOME_OCTETS: Final = _octets("octets, at least 1", minimum=1)
TEXT: Final = _text("text")
SOME_TEXT: Final = _text("text, at least 1 octet", minimum=1)
RESULT_CODE: Final = Format("uint16 result, uint16 error, text", _decode_result, _encode_result)
PROTOCOL_VERSION: Final = _record("uint8 version, uint8 revision", ">BB", ProtocolVersion)
Q931_CAUSE: Final = Format("uint16 cause, uint8 message, text", _decode_q931, _encode_q931)
CALL_ERRORS: Final = _record("2 reserved, 6 uint32", ">2x6I", CallErrors)
ACCM: Final = _record("2 reserved, 2 uint32", ">2x2I", Accm)
UINT64: Final = _unsigned("uint64", ">Q")
DISCONNECT_CAUSE: Final = Format(
    "uint16 code, uint16 protocol, uint8 direction, text", _decode_disconnect, _encode_disconnect
)
CONNECT_SPEED_UPDATE: Final = _record("2 reserved, uint16, 2 uint32", ">2xHII", ConnectSpeedUpdate)
ACCESS_LOOP_ENCAPSULATION: Final = _record("3 uint8", ">3B", AccessLoopEncapsulation)
FLAG: Final = Format("nothing", _decode_flag, lambda _: b"")
LOW_OCTET: Final = Format("1 reserved, uint8", _decode_low_octet, lambda value: bytes((0, value)))
