"""One message of each type with every AVP that it may carry, from the AVP table itself."""

from __future__ import annotations

from random import Random
from typing import Any

from l2tp.protocol import values
from l2tp.protocol.avp import AVP_TABLE, AvpRule
from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import AvpType, MessageType
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.hiding import Hider
from l2tp.protocol.messages import GROUPS, MESSAGE_CLASSES, OUR_VERSION, ControlMessage
from l2tp.protocol.values import (
    AccessLoopEncapsulation,
    Accm,
    CallErrors,
    ConnectSpeedUpdate,
    DisconnectCause,
    Q931Cause,
)

SECRET = b"between us"

# A value that means something, for each type of value; LCP options are MRU 1500 and a magic number.
_BY_FORMAT: dict[str, Any] = {
    values.UINT16.name: 3,
    values.UINT32.name: 2,
    values.UINT64.name: 100_000_000,
    values.NON_ZERO_UINT16.name: 16,
    values.TIE_BREAKER.name: bytes(range(8)),
    values.DIGEST.name: bytes(range(16)),
    values.OCTETS.name: bytes.fromhex("010405dc0506ddccbbaa"),
    values.SOME_OCTETS.name: bytes(range(16)),
    values.TEXT.name: "5551234",
    values.SOME_TEXT.name: "lac.example",
    values.RESULT_CODE.name: ResultCode(2, 6, "in our words"),
    values.PROTOCOL_VERSION.name: OUR_VERSION,
    values.Q931_CAUSE.name: Q931Cause(16, 0x45, "normal clearing"),
    values.CALL_ERRORS.name: CallErrors(1, 2, 3, 4, 5, 6),
    values.ACCM.name: Accm(0xFFFFFFFF, 0x000A0000),
    values.FLAG.name: True,
    values.LOW_OCTET.name: 7,
    values.DISCONNECT_CAUSE.name: DisconnectCause(3, 0xC021, 1, "ended on request"),
    values.CONNECT_SPEED_UPDATE.name: ConnectSpeedUpdate(77, 50_000_000, 10_000_000),
    values.ACCESS_LOOP_ENCAPSULATION.name: AccessLoopEncapsulation(1, 1, 0),
}
# What a dissector would look at more closely than its format says.
_BY_FIELD: dict[str, Any] = {
    "proxy_authen_type": 2,
    "proxy_authen_name": b"alice",
    "framing_type": 1,
    "bearer_type": 1,
}


def full_messages() -> dict[MessageType, ControlMessage]:
    """Every message type, with all that the table allows in it."""
    return {kind: _full(kind) for kind in MessageType}


def hidden_bodies() -> dict[MessageType, bytes]:
    """The same as octets, with every AVP hidden that may be."""
    hider = Hider(SECRET, [int(r.type) for r in AVP_TABLE if r.may_hide], Random(7))
    return {kind: encode_message(message, hider=hider) for kind, message in full_messages().items()}


def _full(kind: MessageType) -> ControlMessage:
    fields: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for rule in AVP_TABLE:
        if not rule.vendor_id and rule.type in (AvpType.MESSAGE_TYPE, AvpType.RANDOM_VECTOR):
            continue
        if kind in rule.required_in | rule.optional_in:
            holder = groups.setdefault(rule.group, {}) if rule.group else fields
            holder[rule.field] = _value(rule)
    made = {name: GROUPS[name](**inside) for name, inside in groups.items()}
    return MESSAGE_CLASSES[kind](**fields, **made)


def _value(rule: AvpRule) -> Any:
    value = _BY_FIELD.get(rule.field, _BY_FORMAT[rule.format.name])
    return (value,) if rule.repeats else value
