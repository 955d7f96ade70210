import pytest

from l2tp.protocol.avp import RawAvp, encode_avp
from l2tp.protocol.codec import decode_message, encode_message, peek_message_type
from l2tp.protocol.constants import AvpType, ErrorCode, MessageType
from l2tp.protocol.errors import LocalProtocolError, MessageError, ResultCode
from l2tp.protocol.hiding import hide
from l2tp.protocol.messages import (
    CDN,
    HELLO,
    ICCN,
    ICRQ,
    OCRQ,
    SCCRQ,
    SLI,
    WEN,
    StopCCN,
    UnknownMessage,
)
from l2tp.protocol.values import Accm, CallErrors, ProtocolVersion, Q931Cause

# Octets written by hand from the figures of RFC 2661 §4.4, with what they say.
VECTORS = [
    ("8008 0000 0000 0006", HELLO()),
    (
        "8008 0000 0000 0001  8008 0000 0002 0100  800a 0000 0003 00000003"
        " 8009 0000 0007 6c6163  8008 0000 0009 002a  8008 0000 000a 0004",
        SCCRQ(
            protocol_version=ProtocolVersion(1, 0),
            framing_capabilities=3,
            host_name="lac",
            assigned_tunnel_id=42,
            receive_window_size=4,
        ),
    ),
    (
        "8008 0000 0000 0004  800d 0000 0001 0002 0004 627573 8008 0000 0009 0007",
        StopCCN(result_code=ResultCode(2, 4, "bus"), assigned_tunnel_id=7),
    ),
    (
        "8008 0000 0000 000e  8008 0000 0001 0003  800b 0000 000c 0010 45 6f6b 8008 0000 000e 0009",
        CDN(
            result_code=ResultCode(3),
            q931_cause_code=Q931Cause(16, 0x45, "ok"),
            assigned_session_id=9,
        ),
    ),
    (
        "8008 0000 0000 000a  8008 0000 000e 0009  800a 0000 000f 00000001 8006 0000 0015",
        ICRQ(assigned_session_id=9, call_serial_number=1, called_number=""),
    ),
    (
        "8008 0000 0000 000c  800a 0000 0013 00000001  800a 0000 0018 00010000"
        " 8006 0000 0027  0008 0000 0020 0005",
        ICCN(framing_type=1, tx_connect_speed=65536, sequencing_required=True, proxy_authen_id=5),
    ),
    (
        "8008 0000 0000 000f  8020 0000 0022 0000"
        " 00000001 00000002 00000003 00000004 00000005 00000006",
        WEN(call_errors=CallErrors(1, 2, 3, 4, 5, 6)),
    ),
    (
        "8008 0000 0000 0010  8010 0000 0023 0000 ffffffff 000a0000",
        SLI(accm=Accm(0xFFFFFFFF, 0x000A0000)),
    ),
    (
        "8008 0000 0000 0007  8008 0000 000e 0001  800a 0000 000f 00000002"
        " 800a 0000 0010 00000003  800a 0000 0011 00000004  800a 0000 0012 00000001"
        " 800a 0000 0013 00000002  8007 0000 0015 35",
        OCRQ(
            assigned_session_id=1,
            call_serial_number=2,
            minimum_bps=3,
            maximum_bps=4,
            bearer_type=1,
            framing_type=2,
            called_number="5",
        ),
    ),
]


@pytest.mark.rfc2661("3.2-types", "4.4.1-first")
@pytest.mark.parametrize(("octets", "message"), VECTORS)
def test_vectors(octets: str, message: object) -> None:
    body = bytes.fromhex(octets)
    assert decode_message(body) == message
    assert decode_message(encode_message(decode_message(body))) == message
    # Our order differs from the vector's only behind the Message Type.
    assert sorted(encode_message(decode_message(body))) == sorted(body)
    assert encode_message(decode_message(body))[:8] == body[:8]


STOPCCN = bytes.fromhex("8008 0000 0000 0004 8008 0000 0001 0001 8008 0000 0009 0007")
ICRQ_BODY = encode_message(ICRQ(assigned_session_id=9, call_serial_number=1))


def with_avp(base: bytes, octets: str) -> bytes:
    return base + bytes.fromhex(octets)


REFUSED = [
    (b"", "first AVP is not a Message Type", ErrorCode.VALUE_OUT_OF_RANGE, None),
    (bytes(3), "3 octets at 0 are too few", ErrorCode.LENGTH_IS_WRONG, None),
    (bytes.fromhex("8008 0009 0000 0006"), "not a Message Type", 3, None),
    (bytes.fromhex("8008 0000 0001 0006"), "not a Message Type", 3, None),
    (bytes.fromhex("8007 0000 0000 06"), "not a Message Type", 3, None),
    (bytes.fromhex("c008 0000 0000 0006"), "not a Message Type", 3, None),
    (bytes.fromhex("a008 0000 0000 0006"), "not a Message Type", 3, None),
    (bytes.fromhex("8008 0000 0000 0005"), "type 5 is unknown", 8, 5),
    (STOPCCN[:16], "StopCCN: Assigned Tunnel ID missing", 3, 4),
    (STOPCCN[:8], "Result Code, Assigned Tunnel ID missing", 3, 4),
    (with_avp(STOPCCN[:16], "8008 0000 0009 0000"), "Assigned Tunnel ID: 0 is below 1", 3, 4),
    (with_avp(STOPCCN[:16], "8009 0000 0009 000000"), "3 octets instead of 2", 2, 4),
    (with_avp(STOPCCN, "8006 0000 00ff"), "AVP 255 of vendor 0 is unknown", 8, 4),
    (with_avp(STOPCCN, "8006 0009 0001"), "AVP 1 of vendor 9 is unknown", 8, 4),
    (with_avp(STOPCCN, "8005 0000 0001"), "Length of 5", 2, 4),
    # A reserved bit makes a known AVP an unknown one.
    (with_avp(STOPCCN[:16], "a008 0000 0009 0007"), "Assigned Tunnel ID is unknown", 8, 4),
    (with_avp(STOPCCN[:8], "8009 0000 0001 000200 8008 0000 0009 0007"), "Result Code: ", 2, 4),
    (with_avp(ICRQ_BODY, "c00a 0000 0012 11223344"), "Bearer Type is hidden", 8, 10),
    (with_avp(ICRQ_BODY, "800b 0000 0012 1122334455"), "Bearer Type: 5 octets", 2, 10),
]


@pytest.mark.rfc2661("4.4.1-first", "4.4.1-unknown", "6-avps")
@pytest.mark.parametrize(("body", "text", "error", "kind"), REFUSED)
def test_refuses(body: bytes, text: str, error: int, kind: int | None) -> None:
    with pytest.raises(MessageError, match=text) as caught:
        decode_message(body)
    assert caught.value.result.error == error
    assert caught.value.message_type == kind
    assert caught.value.section.startswith("§")


def test_a_refusal_knows_the_id_that_its_answer_needs() -> None:
    body = with_avp(bytes.fromhex("8008 0000 0000 000a"), "8006 0000 00ff 8008 0000 000e 0009")
    with pytest.raises(MessageError) as caught:
        decode_message(body)
    assert caught.value.fields["assigned_session_id"] == 9


TOLERATED = [
    # Unknown, or with a reserved bit, and without the M bit: kept.
    ("0007 0000 00ff aa", (RawAvp(False, False, 0, 0, 255, b"\xaa"),), ""),
    ("0007 0009 0001 aa", (RawAvp(False, False, 0, 9, 1, b"\xaa"),), ""),
    ("2008 0000 0009 0007", (RawAvp(False, False, 0x2000, 0, 9, b"\x00\x07"),), ""),
    # Known but malformed without the M bit, out of place, twice, or with another M bit.
    ("0009 0000 0012 112233", (), "Bearer Type: 3 octets instead of 4, ignored"),
    ("8009 0000 0007 6c6163", (), "Host Name does not belong in this message"),
    ("8008 0000 000e 0008", (), "Assigned Session ID came twice"),
    ("000a 0000 0012 00000001", (), "Bearer Type has a wrong M bit"),
    ("8008 0000 0024 0102", (), ""),
]


@pytest.mark.rfc2661("4.1-reserved", "4.1-optional", "4.1-vendor", "7.1-tolerate")
@pytest.mark.parametrize(("octets", "unrecognized", "remark"), TOLERATED)
def test_tolerates(octets: str, unrecognized: tuple[RawAvp, ...], remark: str) -> None:
    message = decode_message(with_avp(ICRQ_BODY, octets))
    assert isinstance(message, ICRQ)
    assert message.assigned_session_id == 9
    assert message.unrecognized == unrecognized
    if remark:
        assert remark in message.remarks[0]
    else:
        assert message.remarks == ()


def test_unknown_avps_survive_encoding() -> None:
    body = with_avp(ICRQ_BODY, "0007 0009 0001 aa")
    assert encode_message(decode_message(body)) == body


@pytest.mark.rfc2661("4.4.1-unknown")
def test_unknown_message_without_m_bit_is_a_value() -> None:
    body = bytes.fromhex("0008 0000 0000 0063 0007 0000 0001 aa")
    message = decode_message(body)
    assert message == UnknownMessage(
        unknown_type=99, unrecognized=(RawAvp(False, False, 0, 0, 1, b"\xaa"),)
    )
    assert message.name == "message-99"
    assert encode_message(message) == body


@pytest.mark.rfc2661("4.3-vector-latest", "4.3-vector-shared")
def test_hidden_avps_are_revealed() -> None:
    secret, vector = b"s3cret", b"0123456789abcdef"
    hidden = hide(AvpType.CALLED_NUMBER, b"555", secret=secret, random_vector=vector)
    body = (
        ICRQ_BODY
        + encode_avp(AvpType.RANDOM_VECTOR, vector, mandatory=True)
        + encode_avp(AvpType.CALLED_NUMBER, hidden, mandatory=True, hidden=True)
    )
    message = decode_message(body, secret=secret)
    assert isinstance(message, ICRQ)
    assert message.called_number == "555"
    with pytest.raises(MessageError, match="Called Number"):
        decode_message(body, secret=b"another")


def test_invalid_utf8_stays_printable() -> None:
    body = with_avp(ICRQ_BODY, "8008 0000 0015 ff41")
    message = decode_message(body)
    assert isinstance(message, ICRQ)
    assert message.called_number == r"\xffA"


@pytest.mark.parametrize(
    "message",
    [
        SCCRQ(
            protocol_version=ProtocolVersion(1, 0),
            framing_capabilities=3,
            host_name="x" * 1018,
            assigned_tunnel_id=1,
        ),
        ICRQ(assigned_session_id=1 << 16, call_serial_number=1),
        ICRQ(assigned_session_id=1, call_serial_number=-1),
    ],
)
def test_what_no_avp_holds_is_a_local_error(message: SCCRQ | ICRQ) -> None:
    with pytest.raises(LocalProtocolError):
        encode_message(message)


@pytest.mark.parametrize(
    ("body", "kind"),
    [(STOPCCN, MessageType.StopCCN), (b"", None), (STOPCCN[:7], None), (STOPCCN[8:], None)],
)
def test_peeks(body: bytes, kind: MessageType | None) -> None:
    assert peek_message_type(body) == kind
