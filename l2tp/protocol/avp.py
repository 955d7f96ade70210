"""The AVP table of RFC 2661, 3145 and 5515 and the AVP's own encoding (RFC 2661 §4.1).

Every codec here reads the table.
"""

# ruff: noqa: E501 (a table is read by its rows)

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from l2tp.protocol import values
from l2tp.protocol.constants import AvpType, MessageType
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.extensions import ADSL_FORUM, AccessLineAvp
from l2tp.protocol.values import Format

AVP_HEADER_SIZE: Final = 6
MAXIMUM_AVP_SIZE: Final = 0x3FF

_MANDATORY_BIT: Final = 0x8000
_HIDDEN_BIT: Final = 0x4000
_RESERVED_BITS: Final = 0x3C00
_LENGTH_MASK: Final = 0x03FF
_HEADER: Final = struct.Struct(">HHH")


class RawAvp(NamedTuple):
    """One AVP as it travels: the bits of §4.1 and the value's octets, not yet understood."""

    mandatory: bool
    hidden: bool
    reserved: int
    vendor_id: int
    type: int
    value: bytes

    def describe(self) -> str:
        """Name it for people: by the table where that knows it, else by its numbers."""
        rule = find_rule(self.vendor_id, self.type)
        return rule.title if rule else f"AVP {self.type} of vendor {self.vendor_id}"


@dataclass(frozen=True, slots=True)
class AvpRule:
    """One row of the table.

    `field` is its name in the message dataclasses, or in the one that their field `group` holds.
    `mandatory_bit` is the M bit it is sent with, `may_hide` whether the H bit is allowed,
    `repeats` whether a message may have several, which makes the field a tuple. `required_in` and
    `optional_in` are the messages of §6 that must or may carry it, `section` is where it is
    defined, in RFC 2661 unless it names another document.
    """

    vendor_id: int
    type: int
    field: str
    group: str
    title: str
    format: Format
    mandatory_bit: bool
    may_hide: bool
    repeats: bool
    section: str
    required_in: frozenset[MessageType]
    optional_in: frozenset[MessageType]


def _messages(names: str) -> frozenset[MessageType]:
    return frozenset(MessageType[name] for name in names.split())


def _row(
    avp: AvpType | AccessLineAvp,
    title: str,
    form: Format,
    bits: str,
    section: str,
    must: str = "",
    may: str = "",
) -> AvpRule:
    is_line = isinstance(avp, AccessLineAvp)
    return AvpRule(
        vendor_id=ADSL_FORUM if is_line else 0,
        type=avp,
        field=avp.name.lower(),
        group="access_line" if is_line else "",
        title=title,
        format=form,
        mandatory_bit="M" in bits,
        may_hide="h" in bits,
        repeats="r" in bits,
        section=section,
        required_in=_messages(must),
        optional_in=_messages(may),
    )


def _line(avp: AccessLineAvp, form: Format) -> AvpRule:
    title = avp.name.replace("_", " ").title()
    return _row(avp, title, form, "h", "RFC 5515", may="ICRQ")


_ALL: Final = " ".join(MessageType.__members__)
_T = AvpType
_L = AccessLineAvp
_V = values

# Bits: M = sent with the M bit, h = may be hidden, r = may be there several times.
# fmt: off
AVP_TABLE: Final[tuple[AvpRule, ...]] = (
    _row(_T.MESSAGE_TYPE, "Message Type", _V.UINT16, "M", "§4.4.1", must=_ALL),
    _row(_T.RANDOM_VECTOR, "Random Vector", _V.SOME_OCTETS, "M", "§4.4.1", may=_ALL),
    _row(_T.RESULT_CODE, "Result Code", _V.RESULT_CODE, "M", "§4.4.2", must="StopCCN CDN"),
    _row(_T.PROTOCOL_VERSION, "Protocol Version", _V.PROTOCOL_VERSION, "M", "§4.4.3", must="SCCRQ SCCRP"),
    _row(_T.FRAMING_CAPABILITIES, "Framing Capabilities", _V.UINT32, "Mh", "§4.4.3", must="SCCRQ SCCRP"),
    _row(_T.BEARER_CAPABILITIES, "Bearer Capabilities", _V.UINT32, "Mh", "§4.4.3", may="SCCRQ SCCRP"),
    _row(_T.TIE_BREAKER, "Tie Breaker", _V.TIE_BREAKER, "", "§4.4.3", may="SCCRQ"),
    _row(_T.FIRMWARE_REVISION, "Firmware Revision", _V.UINT16, "h", "§4.4.3", may="SCCRQ SCCRP"),
    _row(_T.HOST_NAME, "Host Name", _V.SOME_TEXT, "M", "§4.4.3", must="SCCRQ SCCRP"),
    _row(_T.VENDOR_NAME, "Vendor Name", _V.TEXT, "h", "§4.4.3", may="SCCRQ SCCRP"),
    _row(_T.ASSIGNED_TUNNEL_ID, "Assigned Tunnel ID", _V.NON_ZERO_UINT16, "Mh", "§4.4.3", must="SCCRQ SCCRP StopCCN"),
    _row(_T.RECEIVE_WINDOW_SIZE, "Receive Window Size", _V.NON_ZERO_UINT16, "M", "§4.4.3", may="SCCRQ SCCRP"),
    _row(_T.CHALLENGE, "Challenge", _V.SOME_OCTETS, "Mh", "§4.4.3", may="SCCRQ SCCRP"),
    _row(_T.CHALLENGE_RESPONSE, "Challenge Response", _V.DIGEST, "Mh", "§4.4.3", may="SCCRP SCCCN"),
    _row(_T.Q931_CAUSE_CODE, "Q.931 Cause Code", _V.Q931_CAUSE, "M", "§4.4.4", may="CDN"),
    _row(_T.ASSIGNED_SESSION_ID, "Assigned Session ID", _V.NON_ZERO_UINT16, "Mh", "§4.4.4", must="OCRQ OCRP ICRQ ICRP CDN"),
    _row(_T.CALL_SERIAL_NUMBER, "Call Serial Number", _V.UINT32, "Mh", "§4.4.4", must="OCRQ ICRQ"),
    _row(_T.MINIMUM_BPS, "Minimum BPS", _V.UINT32, "Mh", "§4.4.4", must="OCRQ"),
    _row(_T.MAXIMUM_BPS, "Maximum BPS", _V.UINT32, "Mh", "§4.4.4", must="OCRQ"),
    _row(_T.BEARER_TYPE, "Bearer Type", _V.UINT32, "Mh", "§4.4.4", must="OCRQ", may="ICRQ"),
    _row(_T.FRAMING_TYPE, "Framing Type", _V.UINT32, "Mh", "§4.4.4", must="OCRQ OCCN ICCN"),
    _row(_T.CALLED_NUMBER, "Called Number", _V.TEXT, "Mh", "§4.4.4", must="OCRQ", may="ICRQ"),
    _row(_T.CALLING_NUMBER, "Calling Number", _V.TEXT, "Mh", "§4.4.4", may="ICRQ"),
    _row(_T.SUB_ADDRESS, "Sub-Address", _V.TEXT, "Mh", "§4.4.4", may="OCRQ ICRQ"),
    _row(_T.TX_CONNECT_SPEED, "(Tx) Connect Speed", _V.UINT32, "Mh", "§4.4.4", must="OCCN ICCN"),
    _row(_T.RX_CONNECT_SPEED, "Rx Connect Speed", _V.UINT32, "h", "§4.4.4", may="OCCN ICCN"),
    _row(_T.PHYSICAL_CHANNEL_ID, "Physical Channel ID", _V.UINT32, "h", "§4.4.4", may="OCRP ICRQ"),
    _row(_T.PRIVATE_GROUP_ID, "Private Group ID", _V.OCTETS, "h", "§4.4.4", may="ICCN"),
    _row(_T.SEQUENCING_REQUIRED, "Sequencing Required", _V.FLAG, "M", "§4.4.4", may="OCCN ICCN"),
    _row(_T.INITIAL_RECEIVED_LCP_CONFREQ, "Initial Received LCP CONFREQ", _V.OCTETS, "h", "§4.4.5", may="ICCN"),
    _row(_T.LAST_SENT_LCP_CONFREQ, "Last Sent LCP CONFREQ", _V.OCTETS, "h", "§4.4.5", may="ICCN"),
    _row(_T.LAST_RECEIVED_LCP_CONFREQ, "Last Received LCP CONFREQ", _V.OCTETS, "h", "§4.4.5", may="ICCN"),
    _row(_T.PROXY_AUTHEN_TYPE, "Proxy Authen Type", _V.UINT16, "h", "§4.4.5", may="ICCN"),
    _row(_T.PROXY_AUTHEN_NAME, "Proxy Authen Name", _V.OCTETS, "h", "§4.4.5", may="ICCN"),
    _row(_T.PROXY_AUTHEN_CHALLENGE, "Proxy Authen Challenge", _V.OCTETS, "h", "§4.4.5", may="ICCN"),
    _row(_T.PROXY_AUTHEN_ID, "Proxy Authen ID", _V.LOW_OCTET, "h", "§4.4.5", may="ICCN"),
    _row(_T.PROXY_AUTHEN_RESPONSE, "Proxy Authen Response", _V.OCTETS, "h", "§4.4.5", may="ICCN"),
    _row(_T.CALL_ERRORS, "Call Errors", _V.CALL_ERRORS, "Mh", "§4.4.6", must="WEN"),
    _row(_T.ACCM, "ACCM", _V.ACCM, "Mh", "§4.4.6", must="SLI"),
    _row(_T.PPP_DISCONNECT_CAUSE_CODE, "PPP Disconnect Cause Code", _V.DISCONNECT_CAUSE, "h", "RFC 3145 §2", may="CDN"),
    _row(_T.CONNECT_SPEED_UPDATE, "Connect Speed Update", _V.CONNECT_SPEED_UPDATE, "hr", "RFC 5515", must="CSUN CSURQ"),
    _row(_T.CONNECT_SPEED_UPDATE_ENABLE, "Connect Speed Update Enable", _V.FLAG, "h", "RFC 5515", may="ICRQ"),
    _line(_L.AGENT_CIRCUIT_ID, _V.TEXT),
    _line(_L.AGENT_REMOTE_ID, _V.TEXT),
    _line(_L.ACTUAL_DATA_RATE_UPSTREAM, _V.UINT64),
    _line(_L.ACTUAL_DATA_RATE_DOWNSTREAM, _V.UINT64),
    _line(_L.MINIMUM_DATA_RATE_UPSTREAM, _V.UINT64),
    _line(_L.MINIMUM_DATA_RATE_DOWNSTREAM, _V.UINT64),
    _line(_L.ATTAINABLE_DATA_RATE_UPSTREAM, _V.UINT64),
    _line(_L.ATTAINABLE_DATA_RATE_DOWNSTREAM, _V.UINT64),
    _line(_L.MAXIMUM_DATA_RATE_UPSTREAM, _V.UINT64),
    _line(_L.MAXIMUM_DATA_RATE_DOWNSTREAM, _V.UINT64),
    _line(_L.MINIMUM_DATA_RATE_UPSTREAM_LOW_POWER, _V.UINT64),
    _line(_L.MINIMUM_DATA_RATE_DOWNSTREAM_LOW_POWER, _V.UINT64),
    _line(_L.MAXIMUM_INTERLEAVING_DELAY_UPSTREAM, _V.UINT32),
    _line(_L.ACTUAL_INTERLEAVING_DELAY_UPSTREAM, _V.UINT32),
    _line(_L.MAXIMUM_INTERLEAVING_DELAY_DOWNSTREAM, _V.UINT32),
    _line(_L.ACTUAL_INTERLEAVING_DELAY_DOWNSTREAM, _V.UINT32),
    _line(_L.ACCESS_LOOP_ENCAPSULATION, _V.ACCESS_LOOP_ENCAPSULATION),
    _line(_L.ANCP_ACCESS_LINE_TYPE, _V.UINT32),
    _line(_L.IWF_SESSION, _V.UINT32),
)
# fmt: on
"""Every AVP that we know, in the order in which we send them: Message Type first (§4.4.1)."""

_BY_NUMBERS: Final = {(rule.vendor_id, int(rule.type)): rule for rule in AVP_TABLE}

RULES: Final[dict[int, AvpRule]] = {
    int(rule.type): rule for rule in AVP_TABLE if not rule.vendor_id
}
"""The rows of vendor 0 by attribute type."""


def find_rule(vendor_id: int, avp_type: int) -> AvpRule | None:
    """The row of an AVP; None for one that nobody here knows."""
    return _BY_NUMBERS.get((vendor_id, avp_type))


def split_avps(body: bytes) -> tuple[list[RawAvp], str | None]:
    """Cut a message body into AVPs, bounded by their Lengths (§4.1).

    Returns those that could be cut and, where a Length is below 6 or leaves the body, a sentence
    that says so: after it no boundary can be trusted.
    """
    avps: list[RawAvp] = []
    position = 0
    end = len(body)
    while position < end:
        if end - position < AVP_HEADER_SIZE:
            return avps, f"{end - position} octets at {position} are too few for an AVP"
        flags, vendor_id, avp_type = _HEADER.unpack_from(body, position)
        length = flags & _LENGTH_MASK
        if not AVP_HEADER_SIZE <= length <= end - position:
            return avps, f"the AVP {avp_type} at {position} has a Length of {length}"
        avps.append(
            RawAvp(
                flags >= _MANDATORY_BIT,
                flags & _HIDDEN_BIT != 0,
                flags & _RESERVED_BITS,
                vendor_id,
                avp_type,
                body[position + AVP_HEADER_SIZE : position + length],
            )
        )
        position += length
    return avps, None


def encode_avp(
    avp_type: int, value: bytes, *, mandatory: bool, hidden: bool = False, vendor_id: int = 0
) -> bytes:
    """Put the AVP header before `value`; raises LocalProtocolError above 1017 octets (§4.1)."""
    length = AVP_HEADER_SIZE + len(value)
    if length > MAXIMUM_AVP_SIZE:
        raise LocalProtocolError(
            f"AVP {avp_type} would have {length} octets, at most {MAXIMUM_AVP_SIZE} fit",
            section="§4.1",
        )
    flags = length | (_MANDATORY_BIT if mandatory else 0) | (_HIDDEN_BIT if hidden else 0)
    return _HEADER.pack(flags, vendor_id, avp_type) + value
