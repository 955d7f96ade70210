"""How a control connection introduces itself, and what makes the peer's greeting acceptable."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from l2tp.protocol.avp import AVP_TABLE
from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import PROTOCOL_VERSION, StopResult
from l2tp.protocol.errors import LocalProtocolError, ResultCode
from l2tp.protocol.messages import OUR_VERSION, SCCRP, SCCRQ, Greeting
from l2tp.protocol.parameters import EndpointConfig


def _introduction(config: EndpointConfig) -> dict[str, Any]:
    return {
        "protocol_version": OUR_VERSION,
        "framing_capabilities": config.framing_capabilities,
        "bearer_capabilities": config.bearer_capabilities,
        "firmware_revision": config.firmware_revision,
        "host_name": config.host_name,
        "vendor_name": config.vendor_name or None,
        "receive_window_size": config.receive_window_size,
    }


def make_sccrq(
    config: EndpointConfig,
    local_tunnel_id: int,
    challenge: bytes | None,
    tie_breaker: bytes | None = None,
) -> SCCRQ:
    """The SCCRQ that asks for a tunnel (§6.1)."""
    return SCCRQ(
        **_introduction(config),
        assigned_tunnel_id=local_tunnel_id,
        challenge=challenge,
        tie_breaker=tie_breaker,
    )


def make_sccrp(
    config: EndpointConfig,
    local_tunnel_id: int,
    challenge: bytes | None,
    challenge_response: bytes | None,
) -> SCCRP:
    """The SCCRP that accepts one (§6.2)."""
    return SCCRP(
        **_introduction(config),
        assigned_tunnel_id=local_tunnel_id,
        challenge=challenge,
        challenge_response=challenge_response,
    )


def check_config(config: EndpointConfig) -> None:
    """Raise LocalProtocolError where the configuration fits into no SCCRQ, or hides too much."""
    encode_message(make_sccrq(config, 1, None))
    for avp_type in config.hidden_avps:
        hideable = [rule for rule in AVP_TABLE if rule.type == avp_type and rule.may_hide]
        if not hideable:
            raise LocalProtocolError(f"AVP {avp_type} is none that may be hidden", section="§4.4")


class Tie(Enum):
    """How two SCCRQs that crossed are settled; NONE lets both tunnels be (§4.4.3)."""

    NONE = auto()
    WON = auto()
    LOST = auto()
    DRAWN = auto()


def settle_tie(ours: bytes | None, theirs: bytes | None) -> Tie:
    """Compare the Tie Breakers of both ends: the lower one wins, and any wins against none."""
    if ours is None or theirs is None:
        return Tie.NONE if ours == theirs else Tie.LOST if ours is None else Tie.WON
    if ours == theirs:
        return Tie.DRAWN
    return Tie.WON if ours < theirs else Tie.LOST


def judge_version(message: Greeting) -> ResultCode | None:
    """Why the peer's protocol version is refused; None when it is not (§4.4.3)."""
    version = message.protocol_version.version
    if version == PROTOCOL_VERSION[0]:
        return None
    # The error code of this result is the highest version that we speak (§4.4.2).
    highest = int.from_bytes(bytes(PROTOCOL_VERSION), "big")
    text = f"protocol version {version} is not {PROTOCOL_VERSION[0]}"
    return ResultCode(StopResult.VERSION_NOT_SUPPORTED, highest, text)


def not_authorized(text: str) -> ResultCode:
    """The refusal of a tunnel for want of authority (§4.4.2)."""
    return ResultCode(StopResult.NOT_AUTHORIZED, 0, text)
