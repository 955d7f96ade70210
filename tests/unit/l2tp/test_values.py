import pytest

from l2tp.protocol import values
from l2tp.protocol.errors import RemoteProtocolError, ResultCode
from l2tp.protocol.values import Accm, CallErrors, Format, ProtocolVersion, Q931Cause

ROUND_TRIPS = [
    (values.UINT16, 0xABCD, "abcd"),
    (values.UINT32, 0x01020304, "01020304"),
    (values.NON_ZERO_UINT16, 1, "0001"),
    (values.OCTETS, b"", ""),
    (values.SOME_TEXT, "é", "c3a9"),
    (values.TIE_BREAKER, b"12345678", "3132333435363738"),
    (values.DIGEST, bytes(16), "00" * 16),
    (values.PROTOCOL_VERSION, ProtocolVersion(1, 0), "0100"),
    (values.RESULT_CODE, ResultCode(1), "0001"),
    (values.RESULT_CODE, ResultCode(2, 8), "00020008"),
    (values.RESULT_CODE, ResultCode(2, 0, "ü"), "00020000c3bc"),
    (values.Q931_CAUSE, Q931Cause(17, 0x45), "001145"),
    (values.Q931_CAUSE, Q931Cause(17, 0x45, "busy"), "00114562757379"),
    (values.CALL_ERRORS, CallErrors(1, 0, 0, 0, 0, 9), "000000000001" + "00" * 19 + "09"),
    (values.ACCM, Accm(1, 2), "00000000000100000002"),
    (values.FLAG, True, ""),
    (values.LOW_OCTET, 7, "0007"),
]  # fmt: skip


@pytest.mark.rfc2661("4.4.6-call-errors", "4.4.6-accm", "4.4.5-id")
@pytest.mark.parametrize(("form", "value", "octets"), ROUND_TRIPS)
def test_round_trips(form: Format, value: object, octets: str) -> None:
    assert form.encode(value).hex() == octets
    assert form.decode(bytes.fromhex(octets)) == value


@pytest.mark.rfc2661("4.4.3-host-name", "5.3-ids-of-peer")
@pytest.mark.parametrize(
    ("form", "octets"),
    [
        (values.UINT16, "01"),
        (values.UINT16, "010203"),
        (values.UINT32, "010203"),
        (values.NON_ZERO_UINT16, "0000"),
        (values.SOME_OCTETS, ""),
        (values.SOME_TEXT, ""),
        (values.TIE_BREAKER, "31323334353637"),
        (values.DIGEST, "00" * 17),
        (values.PROTOCOL_VERSION, "010000"),
        (values.PROTOCOL_VERSION, "01"),
        (values.RESULT_CODE, "00"),
        (values.RESULT_CODE, "000200"),
        (values.Q931_CAUSE, "0011"),
        (values.CALL_ERRORS, "00" * 25),
        (values.CALL_ERRORS, "00" * 27),
        (values.ACCM, "00" * 11),
        (values.FLAG, "00"),
        (values.LOW_OCTET, "000007"),
    ],
)
def test_wrong_sizes_and_values_are_refused(form: Format, octets: str) -> None:
    with pytest.raises(RemoteProtocolError):
        form.decode(bytes.fromhex(octets))


@pytest.mark.rfc2661("4.4.2-result")
def test_a_message_needs_the_error_code_before_it() -> None:
    assert values.RESULT_CODE.encode(ResultCode(1, None, "bye")) == b"\x00\x01\x00\x00bye"


def test_reserved_octets_are_not_looked_at() -> None:
    assert values.LOW_OCTET.decode(b"\xff\x07") == 7
    assert values.ACCM.decode(b"\xff\xff" + bytes(8)) == Accm(0, 0)


@pytest.mark.rfc2661("4.4.2-utf8")
def test_a_long_advisory_is_cut_between_characters() -> None:
    octets = values.RESULT_CODE.encode(ResultCode(2, 6, "é" * 1000))
    assert values.RESULT_CODE.decode(octets) == ResultCode(2, 6, "é" * 128)
    odd = values.RESULT_CODE.encode(ResultCode(2, 6, "x" + "é" * 1000))
    assert values.RESULT_CODE.decode(odd) == ResultCode(2, 6, "x" + "é" * 127)
