"""One frozen dataclass per control message of RFC 2661 §6, and those of RFC 5515.

A field is named after its row in the AVP table, and has no default exactly where §6 requires the
AVP. `codec.py` turns them into octets and back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from l2tp.protocol import constants
from l2tp.protocol.access_line import AccessLine
from l2tp.protocol.avp import RawAvp
from l2tp.protocol.constants import MessageType
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.values import (
    Accm,
    CallErrors,
    ConnectSpeedUpdate,
    DisconnectCause,
    ProtocolVersion,
    Q931Cause,
)

GROUPS: Final = {"access_line": AccessLine}
"""The dataclass of each group of AVPs in the table."""

OUR_VERSION: Final = ProtocolVersion(*constants.PROTOCOL_VERSION)
"""What the Protocol Version AVP of RFC 2661 says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlMessage:
    """What every control message has.

    `unrecognized` holds AVPs that nobody here knows and whose M bit lets them be; they survive
    decoding and encoding. `remarks` say what was odd but tolerated, for people.
    """

    message_type: ClassVar[MessageType]
    unrecognized: tuple[RawAvp, ...] = ()
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """The mnemonic, such as SCCRQ."""
        return self.message_type.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting(ControlMessage):
    """What SCCRQ and SCCRP have in common: who one is, and what one can (§6.1, §6.2)."""

    protocol_version: ProtocolVersion
    framing_capabilities: int
    bearer_capabilities: int | None = None
    firmware_revision: int | None = None
    host_name: str
    vendor_name: str | None = None
    assigned_tunnel_id: int
    receive_window_size: int | None = None
    challenge: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SCCRQ(Greeting):
    """Start-Control-Connection-Request (§6.1)."""

    message_type: ClassVar[MessageType] = MessageType.SCCRQ
    tie_breaker: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SCCRP(Greeting):
    """Start-Control-Connection-Reply (§6.2)."""

    message_type: ClassVar[MessageType] = MessageType.SCCRP
    challenge_response: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SCCCN(ControlMessage):
    """Start-Control-Connection-Connected (§6.3)."""

    message_type: ClassVar[MessageType] = MessageType.SCCCN
    challenge_response: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCCN(ControlMessage):
    """Stop-Control-Connection-Notification (§6.4)."""

    message_type: ClassVar[MessageType] = MessageType.StopCCN
    result_code: ResultCode
    assigned_tunnel_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HELLO(ControlMessage):
    """Keep-alive (§6.5)."""

    message_type: ClassVar[MessageType] = MessageType.HELLO


@dataclass(frozen=True, slots=True, kw_only=True)
class ICRQ(ControlMessage):
    """Incoming-Call-Request (§6.6)."""

    message_type: ClassVar[MessageType] = MessageType.ICRQ
    assigned_session_id: int
    call_serial_number: int
    bearer_type: int | None = None
    called_number: str | None = None
    calling_number: str | None = None
    sub_address: str | None = None
    physical_channel_id: int | None = None
    connect_speed_update_enable: bool = False
    access_line: AccessLine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ICRP(ControlMessage):
    """Incoming-Call-Reply (§6.7)."""

    message_type: ClassVar[MessageType] = MessageType.ICRP
    assigned_session_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(ControlMessage):
    """What ICCN and OCCN have in common: what the connection became (§6.8, §6.11)."""

    framing_type: int
    tx_connect_speed: int
    rx_connect_speed: int | None = None
    sequencing_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ICCN(Connected):
    """Incoming-Call-Connected (§6.8)."""

    message_type: ClassVar[MessageType] = MessageType.ICCN
    private_group_id: bytes | None = None
    initial_received_lcp_confreq: bytes | None = None
    last_sent_lcp_confreq: bytes | None = None
    last_received_lcp_confreq: bytes | None = None
    proxy_authen_type: int | None = None
    proxy_authen_name: bytes | None = None
    proxy_authen_challenge: bytes | None = None
    proxy_authen_id: int | None = None
    proxy_authen_response: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OCRQ(ControlMessage):
    """Outgoing-Call-Request (§6.9)."""

    message_type: ClassVar[MessageType] = MessageType.OCRQ
    assigned_session_id: int
    call_serial_number: int
    minimum_bps: int
    maximum_bps: int
    bearer_type: int
    framing_type: int
    called_number: str
    sub_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OCRP(ControlMessage):
    """Outgoing-Call-Reply (§6.10)."""

    message_type: ClassVar[MessageType] = MessageType.OCRP
    assigned_session_id: int
    physical_channel_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OCCN(Connected):
    """Outgoing-Call-Connected (§6.11)."""

    message_type: ClassVar[MessageType] = MessageType.OCCN


@dataclass(frozen=True, slots=True, kw_only=True)
class CDN(ControlMessage):
    """Call-Disconnect-Notify (§6.12)."""

    message_type: ClassVar[MessageType] = MessageType.CDN
    result_code: ResultCode
    q931_cause_code: Q931Cause | None = None
    assigned_session_id: int
    ppp_disconnect_cause_code: DisconnectCause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WEN(ControlMessage):
    """WAN-Error-Notify (§6.13)."""

    message_type: ClassVar[MessageType] = MessageType.WEN
    call_errors: CallErrors


@dataclass(frozen=True, slots=True, kw_only=True)
class SLI(ControlMessage):
    """Set-Link-Info (§6.14)."""

    message_type: ClassVar[MessageType] = MessageType.SLI
    accm: Accm


@dataclass(frozen=True, slots=True, kw_only=True)
class CSUN(ControlMessage):
    """Connect-Speed-Update-Notification, of any sessions of the tunnel (RFC 5515)."""

    message_type: ClassVar[MessageType] = MessageType.CSUN
    connect_speed_update: tuple[ConnectSpeedUpdate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CSURQ(ControlMessage):
    """Connect-Speed-Update-Request, for any sessions of the tunnel (RFC 5515)."""

    message_type: ClassVar[MessageType] = MessageType.CSURQ
    connect_speed_update: tuple[ConnectSpeedUpdate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMessage(ControlMessage):
    """A message type that nobody here knows and whose M bit lets it be ignored (§4.4.1)."""

    unknown_type: int

    @property
    def name(self) -> str:
        """The number, for want of a mnemonic."""
        return f"message-{self.unknown_type}"


MESSAGE_CLASSES: Final[dict[MessageType, type[ControlMessage]]] = {
    cls.message_type: cls
    for cls in (
        SCCRQ, SCCRP, SCCCN, StopCCN, HELLO, ICRQ, ICRP, ICCN, OCRQ, OCRP, OCCN, CDN, WEN, SLI,
        CSUN, CSURQ,
    )
}  # fmt: skip
"""The dataclass of each message type."""
