"""The numbers of L2TPv2, each with the section of RFC 2661 that defines it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from typing import Final

PORT: Final = 1701
"""UDP port of an L2TP listener (§8.1)."""

HEADER_VERSION: Final = 2
"""The Ver field of every L2TPv2 header (§3.1); 1 is L2F, 3 is L2TPv3."""

PROTOCOL_VERSION: Final = (1, 0)
"""Version and revision in the Protocol Version AVP (§4.4.3)."""

DEFAULT_RECEIVE_WINDOW: Final = 4
"""What a peer that sends no Receive Window Size AVP is taken to offer (§4.4.3)."""

SEQUENCE_MODULUS: Final = 1 << 16
"""Ns and Nr count modulo this (§5.8)."""

MAXIMUM_ID: Final = 0xFFFF
"""Highest tunnel or session id; zero is never assigned (§3.1)."""


class MessageType(IntEnum):
    """Control message types (§3.2); their contents are in §6. The last two are RFC 5515's."""

    SCCRQ = 1
    SCCRP = 2
    SCCCN = 3
    StopCCN = 4
    HELLO = 6
    OCRQ = 7
    OCRP = 8
    OCCN = 9
    ICRQ = 10
    ICRP = 11
    ICCN = 12
    CDN = 14
    WEN = 15
    SLI = 16
    CSUN = 28
    CSURQ = 29


SESSION_MESSAGES: Final = frozenset(
    int(kind) for kind in MessageType if MessageType.OCRQ <= kind <= MessageType.SLI
)
"""Message types that concern one session; the others concern the whole tunnel (§3.2)."""


class AvpType(IntEnum):
    """Attribute types of vendor 0 (§4.4); those above 39 are of RFC 3145 and RFC 5515."""

    MESSAGE_TYPE = 0
    RESULT_CODE = 1
    PROTOCOL_VERSION = 2
    FRAMING_CAPABILITIES = 3
    BEARER_CAPABILITIES = 4
    TIE_BREAKER = 5
    FIRMWARE_REVISION = 6
    HOST_NAME = 7
    VENDOR_NAME = 8
    ASSIGNED_TUNNEL_ID = 9
    RECEIVE_WINDOW_SIZE = 10
    CHALLENGE = 11
    Q931_CAUSE_CODE = 12
    CHALLENGE_RESPONSE = 13
    ASSIGNED_SESSION_ID = 14
    CALL_SERIAL_NUMBER = 15
    MINIMUM_BPS = 16
    MAXIMUM_BPS = 17
    BEARER_TYPE = 18
    FRAMING_TYPE = 19
    CALLED_NUMBER = 21
    CALLING_NUMBER = 22
    SUB_ADDRESS = 23
    TX_CONNECT_SPEED = 24
    PHYSICAL_CHANNEL_ID = 25
    INITIAL_RECEIVED_LCP_CONFREQ = 26
    LAST_SENT_LCP_CONFREQ = 27
    LAST_RECEIVED_LCP_CONFREQ = 28
    PROXY_AUTHEN_TYPE = 29
    PROXY_AUTHEN_NAME = 30
    PROXY_AUTHEN_CHALLENGE = 31
    PROXY_AUTHEN_ID = 32
    PROXY_AUTHEN_RESPONSE = 33
    CALL_ERRORS = 34
    ACCM = 35
    RANDOM_VECTOR = 36
    PRIVATE_GROUP_ID = 37
    RX_CONNECT_SPEED = 38
    SEQUENCING_REQUIRED = 39
    PPP_DISCONNECT_CAUSE_CODE = 46
    CONNECT_SPEED_UPDATE = 97
    CONNECT_SPEED_UPDATE_ENABLE = 98


class StopResult(IntEnum):
    """Result Codes of a StopCCN (§4.4.2)."""

    CLEAR_REQUEST = 1
    GENERAL_ERROR = 2
    ALREADY_EXISTS = 3
    NOT_AUTHORIZED = 4
    VERSION_NOT_SUPPORTED = 5
    SHUTTING_DOWN = 6
    STATE_MACHINE_ERROR = 7


class CallResult(IntEnum):
    """Result Codes of a CDN (§4.4.2)."""

    LOST_CARRIER = 1
    GENERAL_ERROR = 2
    ADMINISTRATIVE = 3
    NO_FACILITIES_TEMPORARY = 4
    NO_FACILITIES_PERMANENT = 5
    INVALID_DESTINATION = 6
    NO_CARRIER = 7
    BUSY = 8
    NO_DIAL_TONE = 9
    NOT_ESTABLISHED_IN_TIME = 10
    NO_FRAMING_DETECTED = 11


class ErrorCode(IntEnum):
    """General Error Codes, for a Result Code of 2 (§4.4.2)."""

    NO_GENERAL_ERROR = 0
    NO_CONTROL_CONNECTION = 1
    LENGTH_IS_WRONG = 2
    VALUE_OUT_OF_RANGE = 3
    INSUFFICIENT_RESOURCES = 4
    INVALID_SESSION_ID = 5
    VENDOR_SPECIFIC = 6
    TRY_ANOTHER = 7
    UNKNOWN_MANDATORY_AVP = 8


class Framing(IntFlag):
    """Bits of Framing Capabilities (§4.4.3) and Framing Type (§4.4.4)."""

    SYNCHRONOUS = 0x1
    ASYNCHRONOUS = 0x2


class Bearer(IntFlag):
    """Bits of Bearer Capabilities (§4.4.3) and Bearer Type (§4.4.4)."""

    DIGITAL = 0x1
    ANALOG = 0x2


class ProxyAuthenType(IntEnum):
    """How the LAC authenticated the caller (§4.4.5)."""

    TEXTUAL = 1
    CHAP = 2
    PAP = 3
    NONE = 4
    MSCHAPV1 = 5


STOP_RESULT_MEANINGS: Final[Mapping[int, str]] = {
    StopResult.CLEAR_REQUEST: "general request to clear the control connection",
    StopResult.GENERAL_ERROR: "general error",
    StopResult.ALREADY_EXISTS: "control channel already exists",
    StopResult.NOT_AUTHORIZED: "requester is not authorized to establish a control channel",
    StopResult.VERSION_NOT_SUPPORTED: "protocol version of the requester is not supported",
    StopResult.SHUTTING_DOWN: "requester is being shut down",
    StopResult.STATE_MACHINE_ERROR: "finite state machine error",
}
"""What each StopCCN Result Code says, in words (§4.4.2)."""

CALL_RESULT_MEANINGS: Final[Mapping[int, str]] = {
    CallResult.LOST_CARRIER: "loss of carrier",
    CallResult.GENERAL_ERROR: "general error",
    CallResult.ADMINISTRATIVE: "administrative reasons",
    CallResult.NO_FACILITIES_TEMPORARY: "lack of facilities for now",
    CallResult.NO_FACILITIES_PERMANENT: "lack of facilities for good",
    CallResult.INVALID_DESTINATION: "invalid destination",
    CallResult.NO_CARRIER: "no carrier detected",
    CallResult.BUSY: "busy signal",
    CallResult.NO_DIAL_TONE: "no dial tone",
    CallResult.NOT_ESTABLISHED_IN_TIME: "not established within the time allotted by the LAC",
    CallResult.NO_FRAMING_DETECTED: "connected, but no appropriate framing detected",
}
"""What each CDN Result Code says, in words (§4.4.2)."""

ERROR_CODE_MEANINGS: Final[Mapping[int, str]] = {
    ErrorCode.NO_GENERAL_ERROR: "no general error",
    ErrorCode.NO_CONTROL_CONNECTION: "no control connection exists yet for this LAC-LNS pair",
    ErrorCode.LENGTH_IS_WRONG: "length is wrong",
    ErrorCode.VALUE_OUT_OF_RANGE: "a value is out of range or a reserved field is not zero",
    ErrorCode.INSUFFICIENT_RESOURCES: "insufficient resources to handle this now",
    ErrorCode.INVALID_SESSION_ID: "the session id is invalid in this context",
    ErrorCode.VENDOR_SPECIFIC: "a vendor-specific error",
    ErrorCode.TRY_ANOTHER: "try another address or host name",
    ErrorCode.UNKNOWN_MANDATORY_AVP: "an unknown AVP with the M bit set",
}
"""What each general Error Code says, in words (§4.4.2)."""
