"""Whether a message of the control connection is acceptable, and if not with what it is refused."""

from __future__ import annotations

from collections.abc import Callable

from l2tp.protocol import causes
from l2tp.protocol.causes import Closure
from l2tp.protocol.constants import ErrorCode, MessageType, StopResult
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.greeting import judge_version, not_authorized
from l2tp.protocol.hiding import Authentication
from l2tp.protocol.messages import SCCCN, SCCRP, SCCRQ, ControlMessage, Greeting
from l2tp.protocol.parameters import Address, EndpointConfig
from l2tp.protocol.transitions import TunnelState


class Judge:
    """Judges for one tunnel; with `is_surplus` every SCCRQ is one too many.

    `is_id_taken` says whether another tunnel with this peer has that id there.
    """

    def __init__(
        self,
        config: EndpointConfig,
        authentication: Authentication,
        *,
        is_surplus: bool,
        is_id_taken: Callable[[int], bool],
    ) -> None:
        self._config = config
        self._authentication = authentication
        self._is_surplus = is_surplus
        self._is_id_taken = is_id_taken

    def refuses(self, message: ControlMessage, state: TunnelState, peer: Address) -> Closure | None:
        """Why a message is not acceptable; None when it is, or when that is no question."""
        if isinstance(message, SCCRQ | SCCRP):
            result = self._judge_greeting(message, state)
        elif isinstance(message, SCCCN):
            fault = self._authentication.find_fault(
                MessageType.SCCCN, response=message.challenge_response
            )
            result = not_authorized(fault) if fault else None
        else:
            return None
        if result is None:
            return None
        return Closure(result, causes.refused(peer, message.name, result))

    def _judge_greeting(self, message: Greeting, state: TunnelState) -> ResultCode | None:
        refusal = judge_version(message)
        if refusal is not None:
            return refusal
        if isinstance(message, SCCRQ):
            if state is not TunnelState.IDLE:
                return None
            if not self._config.accepts_tunnels:
                return not_authorized("this end accepts no tunnels")
            if self._is_surplus:
                return ResultCode(
                    StopResult.GENERAL_ERROR, ErrorCode.INSUFFICIENT_RESOURCES, "too many tunnels"
                )
        elif state is not TunnelState.WAIT_CTL_REPLY:
            return None
        elif self._is_id_taken(message.assigned_tunnel_id):
            text = f"tunnel id {message.assigned_tunnel_id} is in use"
            return ResultCode(StopResult.GENERAL_ERROR, ErrorCode.VALUE_OUT_OF_RANGE, text)
        response = message.challenge_response if isinstance(message, SCCRP) else None
        fault = self._authentication.find_fault(
            message.message_type, response=response, challenge=message.challenge
        )
        return not_authorized(fault) if fault else None
