"""What an endpoint reports: one frozen dataclass per thing that happened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from l2tp.protocol.messages import ControlMessage
    from l2tp.protocol.parameters import Address, CallParameters
    from l2tp.protocol.values import Accm, CallErrors, DisconnectCause, Q931Cause


class DropReason(StrEnum):
    """Why a datagram was not used; the keys of Endpoint.dropped."""

    MALFORMED_HEADER = "malformed-header"
    DATA_MESSAGE = "data-message"
    UNKNOWN_TUNNEL = "unknown-tunnel"
    UNKNOWN_SESSION = "unknown-session"
    WRONG_SOURCE = "wrong-source"
    NOT_A_REQUEST = "not-a-request"
    MALFORMED_REQUEST = "malformed-request"
    TOO_MANY_TUNNELS = "too-many-tunnels"
    TOO_MANY_HALF_OPEN = "too-many-half-open-tunnels"
    TOO_MANY_MESSAGES = "too-many-messages"
    LOST_TIE = "lost-tie"
    DUPLICATE = "duplicate"
    OUTSIDE_WINDOW = "outside-window"
    UNSENT_ACKNOWLEDGED = "unsent-acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelRequested:
    """An acceptable SCCRQ came; the SCCRP follows: make the tunnel's socket before sending it."""

    local_tunnel_id: int
    peer_tunnel_id: int
    peer: Address
    peer_host_name: str
    peer_vendor_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAddressChanged:
    """The answerer chose another port or address for the tunnel (RFC 2661 §8.1).

    Connect the tunnel's socket to `peer` before sending what is due.
    """

    local_tunnel_id: int
    previous: Address
    peer: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelEstablished:
    """The control connection is up (RFC 2661 §5.1); `initiated` says that we opened it."""

    local_tunnel_id: int
    peer_tunnel_id: int
    peer: Address
    peer_host_name: str
    peer_vendor_name: str | None
    peer_firmware_revision: int | None
    peer_framing_capabilities: int
    peer_bearer_capabilities: int | None
    peer_receive_window_size: int
    initiated: bool
    authenticated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelClosed:
    """The control connection is down, and so are its sessions (each has had its SessionClosed).

    `result_code` is the StopCCN's (None when none was sent or received, as with a dead peer),
    `cause` one paragraph for people. Keep the tunnel's socket until TunnelReleased: the StopCCN
    must still be sent or acknowledged (RFC 2661 §5.7). It also reports a tunnel that never came
    to be, such as a refused SCCRQ. `superseded_by` is the peer's tunnel to which this one lost the
    tie breaker (RFC 2661 §4.4.3): calls that waited for this one can be placed in that one.
    """

    local_tunnel_id: int
    peer_tunnel_id: int | None
    peer: Address
    peer_host_name: str | None
    result_code: int | None
    error_code: int | None
    message: str
    cause: str
    by_peer: bool
    superseded_by: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelReleased:
    """The closed tunnel's retention is over: its socket can go, its id may be used again."""

    local_tunnel_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequested:
    """The peer asks for a call: answer with accept_call or reject_call.

    Either a LAC asks us, as LNS, to take an incoming call (ICRQ), or an LNS asks us, as LAC, to
    dial `call.called_number` for it (OCRQ, `outgoing`): then, after accept_call, connect_call
    says that the called party answered, or hang_up that it did not.
    """

    local_tunnel_id: int
    local_session_id: int
    peer_tunnel_id: int
    peer_session_id: int
    call_serial_number: int
    call: CallParameters
    outgoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    """The peer takes our call, and both ids are known.

    Either the LNS took our incoming call (ICRP), and the ICCN is due to be sent; or the LAC dials
    the `outgoing` call that we asked for (OCRP), and SessionEstablished follows with its OCCN.
    """

    local_tunnel_id: int
    local_session_id: int
    peer_tunnel_id: int
    peer_session_id: int
    call_serial_number: int
    outgoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEstablished:
    """PPP frames may flow: the ICCN or OCCN was queued (`lns_mode` false) or received (true)."""

    local_tunnel_id: int
    local_session_id: int
    peer_tunnel_id: int
    peer_session_id: int
    call_serial_number: int
    lns_mode: bool
    call: CallParameters
    outgoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallErrorsReported:
    """The LAC counted errors on the caller's line (WEN, RFC 2661 §6.13)."""

    local_tunnel_id: int
    local_session_id: int
    call_errors: CallErrors


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkInfoReceived:
    """The LNS negotiated these character maps with the caller (SLI, RFC 2661 §6.14)."""

    local_tunnel_id: int
    local_session_id: int
    accm: Accm


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSpeedChanged:
    """The LAC says that the caller's line has other speeds now, bit/s (CSUN, RFC 5515)."""

    local_tunnel_id: int
    local_session_id: int
    tx_connect_speed_bps: int
    rx_connect_speed_bps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed:
    """The session is down; `result_code` is the CDN's, None when none was sent or received.

    `q931_cause` and `disconnect_cause` are what that CDN said of the line and of PPP (RFC 3145).
    """

    local_tunnel_id: int
    local_session_id: int
    peer_session_id: int | None
    result_code: int | None
    error_code: int | None
    message: str
    cause: str
    by_peer: bool
    q931_cause: Q931Cause | None = None
    disconnect_cause: DisconnectCause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent:
    """A control message left; `transmission` is 1 the first time, then counts repeats.

    `name` is the message's mnemonic or "ZLB", whose `message` is None. `local_session_id` is 0
    for messages of the tunnel.
    """

    local_tunnel_id: int
    local_session_id: int
    peer: Address
    name: str
    ns: int
    nr: int
    message: ControlMessage | None
    transmission: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived:
    """A control message came in its turn; `message` is None for a ZLB and for the undecodable."""

    local_tunnel_id: int
    local_session_id: int
    peer: Address
    name: str
    ns: int
    nr: int
    message: ControlMessage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramDropped:
    """A datagram was not used: `reason` counts it, `cause` explains it, `section` is the RFC's."""

    local_tunnel_id: int | None
    source: Address
    reason: DropReason
    cause: str
    section: str


Event: TypeAlias = (
    TunnelRequested
    | PeerAddressChanged
    | TunnelEstablished
    | TunnelClosed
    | TunnelReleased
    | CallRequested
    | CallAnswered
    | SessionEstablished
    | CallErrorsReported
    | LinkInfoReceived
    | ConnectSpeedChanged
    | SessionClosed
    | MessageSent
    | MessageReceived
    | DatagramDropped
)
