"""Whether a call can be: what it asks for, against what its other end has (RFC 2661 §4.4)."""

from __future__ import annotations

from dataclasses import replace

from l2tp.protocol.call_transitions import SessionRole
from l2tp.protocol.constants import CallResult, ErrorCode, Framing
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.messages import ICRQ, OCRQ, Greeting
from l2tp.protocol.parameters import CallParameters, EndpointConfig


def fit_to_peer(
    call: CallParameters, role: SessionRole, greeting: Greeting | None
) -> tuple[CallParameters, str | None]:
    """The call with what it left open, and why the peer cannot have it; None where it can."""
    framing = greeting.framing_capabilities if greeting else 0
    if call.framing_type is None:
        # PPP is synchronous here, and a peer that advertises nothing is none to be strict with.
        usual = int(Framing.SYNCHRONOUS)
        call = replace(call, framing_type=usual if framing & usual else framing or usual)
    elif call.framing_type & ~framing:
        return call, (
            f"the peer's Framing Capabilities are {framing:#x}, so this call of Framing Type"
            f" {call.framing_type:#x} must not be asked for (RFC 2661 §4.4.4)"
        )
    if role is not SessionRole.LNS_OUTGOING:
        return call, None
    bearer = greeting.bearer_capabilities if greeting else None
    if not bearer:
        return call, (
            "the peer advertises no Bearer Capabilities, so it places no outgoing calls"
            " (RFC 2661 §4.4.3)"
        )
    if call.bearer_type is None:
        call = replace(call, bearer_type=bearer)
    elif call.bearer_type & ~bearer:
        return call, (
            f"the peer's Bearer Capabilities are {bearer:#x}, so it cannot place this call of"
            f" Bearer Type {call.bearer_type:#x} (RFC 2661 §4.4.4)"
        )
    return call, None


def id_in_use(peer_session_id: int) -> ResultCode:
    """What to refuse a peer's session id with that another session of it has (§5.3)."""
    text = f"session id {peer_session_id} is in use"
    return ResultCode(CallResult.GENERAL_ERROR, ErrorCode.INVALID_SESSION_ID, text)


def judge_request(
    message: ICRQ | OCRQ, config: EndpointConfig, *, surplus: str | None, is_id_taken: bool
) -> ResultCode | None:
    """Why we do not take the call that a peer asks for; None when we do (§7.4.2, §7.5.1).

    `surplus` says of what there is too much, `is_id_taken` that the peer's id has a session.
    """
    if isinstance(message, OCRQ):
        refusal = judge_outgoing_call(message, config)
        if refusal is not None:
            return refusal
    elif not config.accepts_calls:
        return ResultCode(CallResult.NO_FACILITIES_PERMANENT, 0, "no incoming calls here")
    if surplus is not None:
        return ResultCode(CallResult.NO_FACILITIES_TEMPORARY, 0, surplus)
    return id_in_use(message.assigned_session_id) if is_id_taken else None


def judge_outgoing_call(message: OCRQ, config: EndpointConfig) -> ResultCode | None:
    """Why we, as LAC, do not dial what an LNS asks for; None when we may (§4.4.4)."""
    if not config.accepts_outgoing_calls:
        return ResultCode(CallResult.NO_FACILITIES_PERMANENT, 0, "no outgoing calls here")
    if message.minimum_bps > message.maximum_bps:
        text = f"Minimum BPS {message.minimum_bps} is above Maximum BPS {message.maximum_bps}"
        return ResultCode(CallResult.GENERAL_ERROR, ErrorCode.VALUE_OUT_OF_RANGE, text)
    if message.bearer_type & ~(config.bearer_capabilities or 0):
        text = f"no bearer here of Bearer Type {message.bearer_type:#x}"
        return ResultCode(CallResult.NO_FACILITIES_PERMANENT, 0, text)
    if message.framing_type & ~config.framing_capabilities:
        text = f"no framing here of Framing Type {message.framing_type:#x}"
        return ResultCode(CallResult.NO_FACILITIES_PERMANENT, 0, text)
    return None
