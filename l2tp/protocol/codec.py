"""Control message bodies to octets and back, driven by the AVP table (RFC 2661 §4, §7.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

from l2tp.protocol import quirks
from l2tp.protocol.avp import AVP_TABLE, AvpRule, RawAvp, encode_avp, find_rule, split_avps
from l2tp.protocol.constants import AvpType, ErrorCode, MessageType
from l2tp.protocol.errors import LocalProtocolError, MessageError, RemoteProtocolError
from l2tp.protocol.hiding import Hider, reveal
from l2tp.protocol.messages import GROUPS, MESSAGE_CLASSES, ControlMessage, UnknownMessage

# A peer without RFC 5515 is to ignore its messages, so their Message Type has no M bit.
_IGNORABLE: Final = (MessageType.CSUN, MessageType.CSURQ)
_SKIPPED: Final = (AvpType.MESSAGE_TYPE, AvpType.RANDOM_VECTOR)
_TYPE_AVP_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the table says of one message type, laid out for speed."""

    cls: type[ControlMessage]
    head: bytes
    rules: tuple[AvpRule, ...]
    allowed: frozenset[tuple[int, int]]
    required: frozenset[str]


def _plan(kind: MessageType) -> _Plan:
    rules = tuple(
        rule
        for rule in AVP_TABLE
        if rule.type not in _SKIPPED and kind in rule.required_in | rule.optional_in
    )
    is_mandatory = kind not in _IGNORABLE
    return _Plan(
        cls=MESSAGE_CLASSES[kind],
        head=encode_avp(AvpType.MESSAGE_TYPE, kind.to_bytes(2, "big"), mandatory=is_mandatory),
        rules=rules,
        allowed=frozenset((rule.vendor_id, int(rule.type)) for rule in rules),
        required=frozenset(rule.field for rule in rules if kind in rule.required_in),
    )


_PLANS: Final[dict[int, _Plan]] = {int(kind): _plan(kind) for kind in MessageType}


def encode_message(message: ControlMessage, *, hider: Hider | None = None) -> bytes:
    """Encode the body of a control message; None and False leave an AVP out, `hider` hides some.

    Raises LocalProtocolError for a value that no AVP can hold.
    """
    if isinstance(message, UnknownMessage):
        kind = message.unknown_type.to_bytes(2, "big")
        parts = [encode_avp(AvpType.MESSAGE_TYPE, kind, mandatory=False)]
    else:
        plan = _PLANS[message.message_type]
        parts = [plan.head, *_encode_fields(message, plan.rules, hider)]
    for raw in message.unrecognized:
        parts.append(
            encode_avp(
                raw.type,
                raw.value,
                mandatory=raw.mandatory,
                hidden=raw.hidden,
                vendor_id=raw.vendor_id,
            )
        )
    return b"".join(parts)


def _encode_fields(
    message: ControlMessage, rules: tuple[AvpRule, ...], hider: Hider | None
) -> list[bytes]:
    parts: list[bytes] = []
    vector: bytes | None = None
    for rule in rules:
        holder: object = message
        if rule.group:
            holder = getattr(message, rule.group)
            if holder is None:
                continue
        value = getattr(holder, rule.field)
        if value is None or value is False:
            continue
        for item in value if rule.repeats else (value,):
            octets = _encode_value(rule, item)
            is_hidden = hider is not None and rule.may_hide and rule.type in hider.types
            if hider is not None and is_hidden:
                if vector is None:
                    # The Random Vector comes before the first AVP that needs it (§4.3).
                    vector = hider.random_vector()
                    parts.append(encode_avp(AvpType.RANDOM_VECTOR, vector, mandatory=True))
                octets = hider.hide(rule.type, octets, vector)
            parts.append(
                encode_avp(
                    rule.type,
                    octets,
                    mandatory=rule.mandatory_bit,
                    hidden=is_hidden,
                    vendor_id=rule.vendor_id,
                )
            )
    return parts


def _encode_value(rule: AvpRule, value: object) -> bytes:
    try:
        return rule.format.encode(value)
    except (struct.error, TypeError, ValueError):
        raise LocalProtocolError(
            f"{rule.title} cannot hold {value!r}: it is {rule.format.name}", section=rule.section
        ) from None


def decode_message(body: bytes, *, secret: bytes | None = None) -> ControlMessage:
    """Decode and validate the body of a control message; `secret` reveals hidden AVPs.

    The M bit decides what an AVP that is unknown, hidden from us or malformed does (§4.2, §7.1):
    set, it raises MessageError; clear, the AVP is kept aside. Raises MessageError also for a
    missing Message Type or required AVP, for a Length that leaves the body, and for an unknown
    message type with the M bit.
    """
    avps, broken = split_avps(body)
    kind = _message_type(avps, broken)
    plan = _PLANS.get(kind)
    if plan is None:
        return _unknown_message(kind, avps)
    decoder = _Decoder(plan, kind, secret)
    for raw in avps[1:]:
        decoder.take(raw)
    if broken:
        decoder.fail(broken, "§4.1", ErrorCode.LENGTH_IS_WRONG)
    return decoder.finish()


def _message_type(avps: list[RawAvp], broken: str | None) -> int:
    # The Message Type MUST be the first AVP of every control message (§4.4.1), and one with a
    # reserved bit is unrecognized like any other (§4.1).
    if avps and avps[0].type == AvpType.MESSAGE_TYPE and not avps[0].vendor_id:
        raw = avps[0]
        if len(raw.value) == 2 and not raw.hidden and not raw.reserved:
            return int.from_bytes(raw.value, "big")
    raise MessageError(
        broken or "the first AVP is not a Message Type",
        section="§4.4.1",
        error=ErrorCode.LENGTH_IS_WRONG if broken else ErrorCode.VALUE_OUT_OF_RANGE,
    )


def _unknown_message(kind: int, avps: list[RawAvp]) -> ControlMessage:
    # The M bit of the Message Type says whether the whole message may be ignored (§4.4.1).
    if avps[0].mandatory:
        raise MessageError(
            f"message type {kind} is unknown, and its M bit is set",
            section="§4.4.1",
            error=ErrorCode.UNKNOWN_MANDATORY_AVP,
            message_type=kind,
        )
    return UnknownMessage(unknown_type=kind, unrecognized=tuple(avps[1:]))


class _Decoder:
    """Gathers one message's fields; the first fatal problem is raised at the end.

    It goes on after a problem because a later AVP may hold the id that the answer needs.
    """

    __slots__ = (
        "_fields",
        "_kind",
        "_plan",
        "_problem",
        "_remarks",
        "_secret",
        "_unknown",
        "_vector",
    )

    def __init__(self, plan: _Plan, kind: int, secret: bytes | None) -> None:
        self._plan = plan
        self._kind = kind
        self._secret = secret
        self._vector: bytes | None = None
        self._fields: dict[str, Any] = {}
        self._unknown: list[RawAvp] = []
        self._remarks: list[str] = []
        self._problem: tuple[str, str, int] | None = None

    def take(self, raw: RawAvp) -> None:
        # An AVP with a reserved bit set MUST be treated as unrecognized (§4.1).
        rule = None if raw.reserved else find_rule(raw.vendor_id, raw.type)
        if rule is None:
            self._take_unrecognized(raw, "is unknown")
        elif rule.type == AvpType.RANDOM_VECTOR and not rule.vendor_id:
            self._vector = raw.value
        elif (raw.vendor_id, raw.type) not in self._plan.allowed:
            self._remarks.append(quirks.MISPLACED_AVP.remark(rule.title))
        else:
            fields = self._fields.setdefault(rule.group, {}) if rule.group else self._fields
            if rule.field in fields and not rule.repeats:
                self._remarks.append(quirks.REPEATED_AVP.remark(rule.title))
            else:
                self._take_known(raw, rule, fields)

    def _take_known(self, raw: RawAvp, rule: AvpRule, fields: dict[str, Any]) -> None:
        value, section = raw.value, rule.section
        try:
            if raw.hidden:
                if not rule.may_hide or self._secret is None or self._vector is None:
                    self._take_unrecognized(raw, "is hidden and cannot be revealed")
                    return
                # What cannot be revealed is no fault of the value's own, but of the secret's.
                section = "§4.3"
                value = reveal(raw.type, value, secret=self._secret, random_vector=self._vector)
                section = rule.section
            decoded = rule.format.decode(value)
        except RemoteProtocolError as error:
            text = f"{rule.title}: {error.text}"
            # A malformed AVP without the M bit is treated as an unrecognized one (§7.1).
            if raw.mandatory:
                self.fail(text, section, error.result.error or 0)
            else:
                self._remarks.append(f"{text}, ignored")
            return
        fields[rule.field] = (*fields.get(rule.field, ()), decoded) if rule.repeats else decoded
        if raw.mandatory is not rule.mandatory_bit:
            self._remarks.append(quirks.WRONG_M_BIT.remark(rule.title))

    def _take_unrecognized(self, raw: RawAvp, why: str) -> None:
        # Unrecognized with the M bit: the tunnel or session MUST be ended (§4.2).
        if raw.mandatory:
            text = f"{raw.describe()} {why}, and its M bit is set"
            self.fail(text, "§4.2", ErrorCode.UNKNOWN_MANDATORY_AVP)
        else:
            self._unknown.append(raw)

    def fail(self, text: str, section: str, error: int) -> None:
        if self._problem is None:
            self._problem = (text, section, error)

    def finish(self) -> ControlMessage:
        fields = self._fields
        if self._problem is None and not self._plan.required <= fields.keys():
            missing = [
                r.title for r in self._plan.rules if r.field in self._plan.required - fields.keys()
            ]
            self.fail(f"{', '.join(missing)} missing", "§6", ErrorCode.VALUE_OUT_OF_RANGE)
        if self._problem is not None:
            text, section, error = self._problem
            name = MessageType(self._kind).name
            raise MessageError(
                f"{name}: {text}",
                section=section,
                error=error,
                message_type=self._kind,
                fields=fields,
            )
        for group, cls in GROUPS.items():
            if group in fields:
                fields[group] = cls(**fields[group]) if fields[group] else None
        if self._unknown:
            fields["unrecognized"] = tuple(self._unknown)
        if self._remarks:
            fields["remarks"] = tuple(self._remarks)
        return self._plan.cls(**fields)


def peek_host_name(body: bytes) -> str | None:
    """The Host Name of a SCCRQ, which tells whose secret reveals the rest (it is never hidden)."""
    for raw in split_avps(body)[0]:
        if raw.type == AvpType.HOST_NAME and not raw.vendor_id:
            return raw.value.decode("utf-8", "backslashreplace")
    return None


def peek_message_type(body: bytes) -> int | None:
    """The message type of a body without decoding it; None for a ZLB or what has none first."""
    try:
        return _message_type(*split_avps(body[:_TYPE_AVP_SIZE]))
    except MessageError:
        return None
