"""Any octets are a value or a protocol error; what goes out as a value comes back as the same."""

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from l2tp.protocol import values
from l2tp.protocol.access_line import AccessLine
from l2tp.protocol.avp import AVP_TABLE, RULES, RawAvp, encode_avp, split_avps
from l2tp.protocol.codec import decode_message, encode_message
from l2tp.protocol.constants import AvpType, MessageType
from l2tp.protocol.errors import HeaderError, MessageError, RemoteProtocolError, ResultCode
from l2tp.protocol.extensions import ADSL_FORUM
from l2tp.protocol.header import ControlHeader, DataHeader, decode_header, encode_control
from l2tp.protocol.hiding import hide, reveal
from l2tp.protocol.messages import MESSAGE_CLASSES, ControlMessage
from l2tp.protocol.values import (
    AccessLoopEncapsulation,
    Accm,
    CallErrors,
    ConnectSpeedUpdate,
    DisconnectCause,
    Format,
    ProtocolVersion,
    Q931Cause,
)

UINT8, UINT16 = st.integers(0, 255), st.integers(0, 0xFFFF)
UINT32 = st.integers(0, 0xFFFFFFFF)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    values.UINT16.name: UINT16,
    values.UINT32.name: UINT32,
    values.NON_ZERO_UINT16.name: st.integers(1, 0xFFFF),
    values.TIE_BREAKER.name: st.binary(min_size=8, max_size=8),
    values.DIGEST.name: st.binary(min_size=16, max_size=16),
    values.OCTETS.name: st.binary(max_size=40),
    values.SOME_OCTETS.name: st.binary(min_size=1, max_size=40),
    values.TEXT.name: TEXT,
    values.SOME_TEXT.name: TEXT.filter(bool),
    values.RESULT_CODE.name: st.builds(ResultCode, UINT16)
    | st.builds(ResultCode, UINT16, UINT16, TEXT),
    values.PROTOCOL_VERSION.name: st.builds(ProtocolVersion, UINT8, UINT8),
    values.Q931_CAUSE.name: st.builds(Q931Cause, UINT16, UINT8, TEXT),
    values.CALL_ERRORS.name: st.builds(CallErrors, *[UINT32] * 6),
    values.ACCM.name: st.builds(Accm, UINT32, UINT32),
    values.FLAG.name: st.just(True),
    values.LOW_OCTET.name: UINT8,
    values.UINT64.name: st.integers(0, 2**64 - 1),
    values.DISCONNECT_CAUSE.name: st.builds(DisconnectCause, UINT16, UINT16, UINT8, TEXT),
    values.CONNECT_SPEED_UPDATE.name: st.builds(ConnectSpeedUpdate, UINT16, UINT32, UINT32),
    values.ACCESS_LOOP_ENCAPSULATION.name: st.builds(AccessLoopEncapsulation, *[UINT8] * 3),
}
UNKNOWN = st.builds(
    RawAvp,
    st.just(False),
    st.booleans(),
    st.just(0),
    st.integers(1, 0xFFFF).filter(lambda vendor_id: vendor_id != ADSL_FORUM),
    UINT16,
    st.binary(max_size=20),
)


@st.composite
def messages(draw: st.DrawFn) -> ControlMessage:
    kind = draw(st.sampled_from(MessageType))
    fields: dict[str, Any] = {}
    line: dict[str, Any] = {}
    for rule in AVP_TABLE:
        if not rule.vendor_id and rule.type in (AvpType.MESSAGE_TYPE, AvpType.RANDOM_VECTOR):
            continue
        if kind in rule.required_in or (kind in rule.optional_in and draw(st.booleans())):
            values_of = VALUES[rule.format.name]
            if rule.repeats:
                values_of = st.lists(values_of, min_size=1, max_size=3).map(tuple)
            (line if rule.group else fields)[rule.field] = draw(values_of)
    if line:
        fields["access_line"] = AccessLine(**line)
    fields["unrecognized"] = tuple(draw(st.lists(UNKNOWN, max_size=3)))
    return MESSAGE_CLASSES[kind](**fields)


@settings(max_examples=300, deadline=None)
@given(messages())
def test_messages_come_back(message: ControlMessage) -> None:
    body = encode_message(message)
    decoded = decode_message(body)
    assert decoded == message
    assert decoded.remarks == ()
    assert encode_message(decoded) == body


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Octets that look like a message for a while: a real one, cut, joined and changed."""
    body = bytearray(encode_message(draw(messages())))
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(body)))
        cut = draw(st.integers(0, 3))
        body[position : position + cut] = draw(st.binary(max_size=4))
    return bytes(body)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60) | bodies(), st.none() | st.binary(max_size=4))
@example(b"", None)
@example(encode_avp(0, b"\x00\x01", mandatory=True) * 2, b"")
def test_any_body_is_a_value_or_a_protocol_error(body: bytes, secret: bytes | None) -> None:
    try:
        message = decode_message(body, secret=secret)
    except MessageError as error:
        assert error.section.startswith(("§", "RFC "))
        assert error.result.error
        assert str(error)
        return
    # What was understood can be said again, and is understood the same (reserved bits and hidden
    # values of what nobody knows aside: those are not sent by us).
    if not any(raw.reserved or raw.hidden for raw in message.unrecognized):
        again = decode_message(encode_message(message))
        assert type(again) is type(message)
        assert again.name == message.name


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=24) | st.binary(max_size=22).map(lambda rest: b"\xc8\x02" + rest))
def test_any_octets_have_a_header_or_a_header_error(data: bytes) -> None:
    try:
        header = decode_header(data)
    except HeaderError:
        return
    if isinstance(header, ControlHeader):
        assert 12 <= header.length <= len(data)
        body = data[12 : header.length]
        assert decode_header(encode_control(*header[1:], body)) == header
    else:
        assert isinstance(header, DataHeader)
        assert header.payload_start <= header.payload_end <= len(data)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(AVP_TABLE).map(lambda rule: rule.format), st.binary(max_size=40))
def test_any_value_is_decoded_or_refused(form: Format, data: bytes) -> None:
    try:
        value = form.decode(data)
    except RemoteProtocolError:
        return
    assert form.decode(form.encode(value)) == value


@settings(max_examples=300, deadline=None)
@given(st.lists(st.builds(
    RawAvp, st.booleans(), st.booleans(), st.just(0), UINT16, UINT16, st.binary(max_size=30)
), max_size=8), st.binary(max_size=5))  # fmt: skip
def test_avps_are_cut_where_they_were_joined(avps: list[RawAvp], tail: bytes) -> None:
    body = b"".join(
        encode_avp(a.type, a.value, mandatory=a.mandatory, hidden=a.hidden, vendor_id=a.vendor_id)
        for a in avps
    )
    cut, broken = split_avps(body + tail)
    assert cut == avps
    assert (broken is None) == (not tail)


@pytest.mark.rfc2661("4.3-chain", "4.3-padding")
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(RULES)), *[st.binary(max_size=80)] * 4)
def test_hidden_values_come_back(
    avp_type: int, value: bytes, secret: bytes, vector: bytes, padding: bytes
) -> None:
    hidden = hide(avp_type, value, secret=secret, random_vector=vector, padding=padding)
    assert reveal(avp_type, hidden, secret=secret, random_vector=vector) == value


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=8), st.binary(max_size=8))
def test_anything_hidden_reveals_a_value_or_a_protocol_error(
    hidden: bytes, secret: bytes, vector: bytes
) -> None:
    with contextlib.suppress(RemoteProtocolError):
        reveal(21, hidden, secret=secret, random_vector=vector)
