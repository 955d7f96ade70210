"""Calls as the messages that set them up say them, and back (RFC 2661 §6.6 to §6.11).

A message's fields and CallParameters' have the same names, so neither is listed a second time here.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import ProxyAuthenType
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.hiding import MAXIMUM_HIDEABLE_SIZE
from l2tp.protocol.messages import ICCN, ICRQ, OCCN, OCRP, OCRQ, Connected, ControlMessage
from l2tp.protocol.parameters import CallParameters

M = TypeVar("M", bound=ControlMessage)
C = TypeVar("C", bound=Connected)

# The units that our names have and those of the AVPs do not.
_RENAMED: Final = {
    "tx_connect_speed": "tx_connect_speed_bps",
    "rx_connect_speed": "rx_connect_speed_bps",
}
_CALL_FIELDS: Final = tuple(field.name for field in fields(CallParameters))


def _shared(cls: type[ControlMessage]) -> tuple[tuple[str, str], ...]:
    names = ((field.name, _RENAMED.get(field.name, field.name)) for field in fields(cls))
    return tuple(pair for pair in names if pair[1] in _CALL_FIELDS)


_CHALLENGED: Final = (
    "proxy_authen_name",
    "proxy_authen_challenge",
    "proxy_authen_id",
    "proxy_authen_response",
)

_SHARED: Final[dict[type[ControlMessage], tuple[tuple[str, str], ...]]] = {
    cls: _shared(cls) for cls in (ICRQ, ICCN, OCRQ, OCRP, OCCN)
}

_PROXY_AUTHEN_NEEDS: Final[dict[int | None, tuple[str, ...]]] = {
    ProxyAuthenType.TEXTUAL: ("proxy_authen_name", "proxy_authen_response"),
    ProxyAuthenType.CHAP: _CHALLENGED,
    ProxyAuthenType.PAP: ("proxy_authen_name", "proxy_authen_id", "proxy_authen_response"),
    ProxyAuthenType.MSCHAPV1: _CHALLENGED,
}
"""What MUST be there with each Proxy Authen Type (§4.4.5)."""

HIGHEST_BPS: Final = 0xFFFFFFFF
"""The highest speed that an AVP can hold, for an OCRQ that asks for no less (uint32)."""


def build(cls: type[M], call: CallParameters, **own: Any) -> M:
    """The message of this class that says `call`; `own` are its fields that no call has."""
    values: dict[str, Any] = {field: getattr(call, name) for field, name in _SHARED[cls]}
    return cls(**(values | own))


def absorb(call: CallParameters, message: ControlMessage) -> CallParameters:
    """The call as the message changes it; one that says nothing of calls changes nothing."""
    pairs = _SHARED.get(type(message), ())
    return replace(call, **{name: getattr(message, field) for field, name in pairs})


def call_from_request(message: ICRQ | OCRQ) -> CallParameters:
    """What a request says of the call; the speeds follow with the ICCN or OCCN."""
    return absorb(CallParameters(tx_connect_speed_bps=0, framing_type=0), message)


def make_icrq(call: CallParameters, local_session_id: int) -> ICRQ:
    """The ICRQ that offers this call (§6.6)."""
    return build(
        ICRQ,
        call,
        assigned_session_id=local_session_id,
        call_serial_number=call.call_serial_number or 0,
    )


def make_ocrq(call: CallParameters, local_session_id: int) -> OCRQ:
    """The OCRQ that asks for this call (§6.9); what it leaves open asks for anything."""
    return build(
        OCRQ,
        call,
        assigned_session_id=local_session_id,
        call_serial_number=call.call_serial_number or 0,
        framing_type=call.framing_type or 0,
        minimum_bps=call.minimum_bps or 0,
        maximum_bps=HIGHEST_BPS if call.maximum_bps is None else call.maximum_bps,
        bearer_type=call.bearer_type or 0,
        called_number=call.called_number or "",
    )


def make_connected(cls: type[C], call: CallParameters) -> C:
    """The ICCN or OCCN that says what the connection became (§6.8, §6.11)."""
    return build(cls, call, framing_type=call.framing_type or 0)


def _size(value: str | bytes) -> int:
    return len(value.encode() if isinstance(value, str) else value)


def check_call(call: CallParameters, *, outgoing: bool) -> None:
    """Raise LocalProtocolError where the call fits into no ICRQ and ICCN, or into no OCRQ.

    Whether a tunnel hides what it says of its calls is not known yet, so all must fit hidden.
    """
    for name in _CALL_FIELDS:
        value = getattr(call, name)
        if isinstance(value, str | bytes) and _size(value) > MAXIMUM_HIDEABLE_SIZE:
            raise LocalProtocolError(
                f"{name} has {_size(value)} octets, and an AVP has room for"
                f" {MAXIMUM_HIDEABLE_SIZE}, hidden: shorten it",
                section="§4.1",
            )
    if outgoing:
        encode_message(make_ocrq(call, 1))
        return
    encode_message(make_icrq(call, 1))
    encode_message(make_connected(ICCN, call))
    for name in _PROXY_AUTHEN_NEEDS.get(call.proxy_authen_type, ()):
        if getattr(call, name) is None:
            raise LocalProtocolError(
                f"a call of Proxy Authen Type {call.proxy_authen_type} needs its {name}",
                section="§4.4.5",
            )
