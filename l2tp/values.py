"""The types of AVP values, and how each is read and written (RFC 2661 §4.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from l2tp.constants import ErrorCode
from l2tp.errors import RemoteProtocolError, ResultCode
from l2tp.wire import Reader, Writer

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


def _decode_version(data: bytes) -> ProtocolVersion:
    reader = Reader(data, section="§4.4.3")
    value = ProtocolVersion(reader.uint8(), reader.uint8())
    reader.finish()
    return value


def _decode_q931(data: bytes) -> Q931Cause:
    reader = Reader(data, section="§4.4.4")
    cause, message = reader.uint16(), reader.uint8()
    return Q931Cause(cause, message, reader.rest().decode("utf-8", "backslashreplace"))


def _encode_q931(value: Q931Cause) -> bytes:
    head = Writer().uint16(value.cause).uint8(value.message)
    return head.octets(_advisory(value.advisory)).getvalue()


def _counters(name: str, kind: type[CallErrors] | type[Accm], count: int) -> Format:
    """`count` uint32 after two reserved octets, which are sent as 0 and not looked at (§4.4.6)."""

    def decode(data: bytes) -> CallErrors | Accm:
        reader = Reader(data, section="§4.4.6")
        reader.uint16()
        value = kind(*(reader.uint32() for _ in range(count)))
        reader.finish()
        return value

    def encode(value: CallErrors | Accm) -> bytes:
        writer = Writer().uint16(0)
        for item in value:
            writer.uint32(item)
        return writer.getvalue()

    return Format(name, decode, encode)


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
PROTOCOL_VERSION: Final = Format("uint8 version, uint8 revision", _decode_version, bytes)
Q931_CAUSE: Final = Format("uint16 cause, uint8 message, text", _decode_q931, _encode_q931)
CALL_ERRORS: Final = _counters("2 reserved, 6 uint32", CallErrors, 6)
ACCM: Final = _counters("2 reserved, 2 uint32", Accm, 2)
FLAG: Final = Format("nothing", _decode_flag, lambda _: b"")
LOW_OCTET: Final = Format("1 reserved, uint8", _decode_low_octet, lambda value: bytes((0, value)))
