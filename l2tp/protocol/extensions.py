"""The numbers of two extensions of L2TP: why PPP ended (RFC 3145), the access line (RFC 5515)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

ADSL_FORUM: Final = 3561
"""Vendor ID of the access-line AVPs (RFC 5515)."""


class AccessLineAvp(IntEnum):
    """Attribute types of vendor 3561: the subscriber's line, in an ICRQ (RFC 5515)."""

    AGENT_CIRCUIT_ID = 1
    AGENT_REMOTE_ID = 2
    ACTUAL_DATA_RATE_UPSTREAM = 129
    ACTUAL_DATA_RATE_DOWNSTREAM = 130
    MINIMUM_DATA_RATE_UPSTREAM = 131
    MINIMUM_DATA_RATE_DOWNSTREAM = 132
    ATTAINABLE_DATA_RATE_UPSTREAM = 133
    ATTAINABLE_DATA_RATE_DOWNSTREAM = 134
    MAXIMUM_DATA_RATE_UPSTREAM = 135
    MAXIMUM_DATA_RATE_DOWNSTREAM = 136
    MINIMUM_DATA_RATE_UPSTREAM_LOW_POWER = 137
    MINIMUM_DATA_RATE_DOWNSTREAM_LOW_POWER = 138
    MAXIMUM_INTERLEAVING_DELAY_UPSTREAM = 139
    ACTUAL_INTERLEAVING_DELAY_UPSTREAM = 140
    MAXIMUM_INTERLEAVING_DELAY_DOWNSTREAM = 141
    ACTUAL_INTERLEAVING_DELAY_DOWNSTREAM = 142
    ACCESS_LOOP_ENCAPSULATION = 144
    ANCP_ACCESS_LINE_TYPE = 145
    IWF_SESSION = 254


class DisconnectCode(IntEnum):
    """Why PPP ended (RFC 3145 §2)."""

    NO_INFORMATION = 0
    ADMINISTRATIVE = 1
    RENEGOTIATION_DISABLED = 2
    NORMAL = 3
    ENCRYPTION_REFUSED = 4
    LCP_TIMEOUT = 5
    NO_LCP_PACKETS = 6
    LOOPED_BACK = 7
    ECHO_TIMEOUT = 8
    UNEXPECTED_DISCRIMINATOR = 9
    UNEXPECTED_MRRU = 10
    UNEXPECTED_SHORT_SEQUENCE = 11
    CALLBACK_REFUSED = 12
    AUTHENTICATION_TIMEOUT = 13
    UNEXPECTED_NAME = 14
    PROTOCOL_UNACCEPTABLE = 15
    AUTHENTICATION_FAILED = 16
    NCP_TIMEOUT = 17
    NO_NCPS = 18
    NO_COMMON_ADDRESS = 19
    ADDRESS_NOT_PERMITTED = 20


class DisconnectDirection(IntEnum):
    """Whose doing the end of PPP was (RFC 3145 §2)."""

    GLOBAL = 0
    AT_PEER = 1
    AT_LOCAL = 2


DISCONNECT_MEANINGS: Final[Mapping[int, str]] = {
    DisconnectCode.NO_INFORMATION: "no information",
    DisconnectCode.ADMINISTRATIVE: "administrative disconnect",
    DisconnectCode.RENEGOTIATION_DISABLED: "the LNS expects proxy LCP, and none came",
    DisconnectCode.NORMAL: "normal end: LCP Terminate-Request",
    DisconnectCode.ENCRYPTION_REFUSED: "compulsory encryption was refused",
    DisconnectCode.LCP_TIMEOUT: "LCP did not converge in time",
    DisconnectCode.NO_LCP_PACKETS: "no LCP packets came",
    DisconnectCode.LOOPED_BACK: "the magic number shows a looped-back link",
    DisconnectCode.ECHO_TIMEOUT: "LCP echo requests were not answered",
    DisconnectCode.UNEXPECTED_DISCRIMINATOR: "another endpoint discriminator than its bundle's",
    DisconnectCode.UNEXPECTED_MRRU: "another MRRU than its bundle's",
    DisconnectCode.UNEXPECTED_SHORT_SEQUENCE: "another sequence number option than its bundle's",
    DisconnectCode.CALLBACK_REFUSED: "compulsory callback was refused",
    DisconnectCode.AUTHENTICATION_TIMEOUT: "authentication did not end in time",
    DisconnectCode.UNEXPECTED_NAME: "another authenticated name than its bundle's",
    DisconnectCode.PROTOCOL_UNACCEPTABLE: "no common authentication protocol",
    DisconnectCode.AUTHENTICATION_FAILED: "authentication failed",
    DisconnectCode.NCP_TIMEOUT: "a network control protocol did not converge in time",
    DisconnectCode.NO_NCPS: "no network control protocol opened",
    DisconnectCode.NO_COMMON_ADDRESS: "no addresses that both ends accept",
    DisconnectCode.ADDRESS_NOT_PERMITTED: "the user may use no address",
}
"""What each disconnect code says, in words (RFC 3145 §2)."""
