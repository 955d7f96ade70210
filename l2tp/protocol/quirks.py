"""What peers do that RFC 2661 does not foresee, and that is taken all the same.

Each is listed here and nowhere else, with the reason why taking it is harmless. Where a message
shows one, its `remarks` say so in the words of `remark`; tests/unit/l2tp/test_quirks.py shows each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """One deviation: `section` is the rule that the peer bends, `seen` the public reports of it.

    `seen` is empty where we know of no report, and the deviation is only likely. `pattern` is the
    remark's text, where there is one, with a place for the name of the AVP.
    """

    name: str
    what: str
    section: str
    why: str
    seen: str = ""
    pattern: str = ""

    def remark(self, subject: str) -> str:
        """Say it of one AVP."""
        return self.pattern.format(subject)


WRONG_M_BIT: Final = Quirk(
    name="wrong-m-bit",
    what="an AVP that we know comes with another M bit than its definition asks for",
    section="§4.4",
    why="the bit says what to do with an AVP that is not known, so here it decides nothing",
    seen="xl2tpd 136 and 156, go-l2tp 6",
    pattern="{} has a wrong M bit",
)
MISPLACED_AVP: Final = Quirk(
    name="misplaced-avp",
    what="an AVP that we know comes in a message that it does not belong in, also with the M bit",
    section="§6",
    why="it is recognized, so the M bit does not end anything; its value is not used",
    pattern="{} does not belong in this message, ignored",
)
REPEATED_AVP: Final = Quirk(
    name="repeated-avp",
    what="an AVP that a message has once comes twice",
    section="§6",
    why="the first one counts, at every receiver that reads from the start",
    pattern="{} came twice, the first counts",
)
LONG_DATAGRAM: Final = Quirk(
    name="long-datagram",
    what="octets follow after the end that the header's Length gives",
    section="§3.1",
    why="padding; Length says what belongs to the message",
)
RESERVED_HEADER_BITS: Final = Quirk(
    name="reserved-header-bits",
    what="reserved bits of the header, or P in a control message, are set",
    section="§3.1",
    why="the receiver is to ignore the reserved ones, and P asks for nothing in control messages",
)
OUT_OF_ORDER: Final = Quirk(
    name="out-of-order",
    what="control messages come before those that they follow",
    section="§5.8",
    why="they are held, as many as the receive window has, until their turn comes",
    seen="xl2tpd 136 and 156",
)
OTHER_PORT: Final = Quirk(
    name="other-port",
    what="the answer to a SCCRQ comes from another port or address than it was sent to",
    section="§8.1",
    why="allowed for the port; followed once, for the message that is expected then",
    seen="go-l2tp 2, NetworkManager-l2tp 38",
)
MALFORMED_FAREWELL: Final = Quirk(
    name="malformed-farewell",
    what="a StopCCN or CDN lacks a required AVP, or has one that is malformed, zero or unknown",
    section="§6.4, §6.12",
    why="its sender is gone all the same, and answering it with an error would reach nobody",
)
EARLY_LINK_REPORT: Final = Quirk(
    name="early-link-report",
    what="SLI or WEN comes before its call is up, or from the end that is not to send it",
    section="§6.13, §6.14",
    why="both only inform; they are recorded and shown",
    seen="xl2tpd 136 and 156, go-l2tp 6",
)
EARLY_HELLO: Final = Quirk(
    name="early-hello",
    what="HELLO comes before the control connection is up",
    section="§6.5",
    why="it asks for nothing but its acknowledgement",
)
STRAY_SESSION_ID: Final = Quirk(
    name="stray-session-id",
    what="an ICRQ or OCRQ has a session id in its header, which no session here has",
    section="§3.1, §4.4.4",
    why="its receiver has assigned none yet, so it asks for a new session all the same",
)
SESSION_ID_FOR_TUNNEL: Final = Quirk(
    name="session-id-for-tunnel",
    what="a message of the control connection, such as HELLO or StopCCN, has a session id",
    section="§3.1, §6.5",
    why="its type says that it is about the tunnel, whatever session is named beside it",
)
OTHER_ASSIGNED_ID: Final = Quirk(
    name="other-assigned-id",
    what="a StopCCN or CDN repeats another assigned id than the one that its sender gave us",
    section="§4.4.3, §4.4.4",
    why="its header names what is to end; the AVP only helps where the header cannot",
)
PROXY_ID_UPPER_OCTET: Final = Quirk(
    name="proxy-id-upper-octet",
    what="the upper octet of the Proxy Authen ID is not 0",
    section="§4.4.5",
    why="the id has one octet in PPP, so the other one says nothing",
)
NEWER_REVISION: Final = Quirk(
    name="newer-revision",
    what="the Protocol Version's revision is not 0",
    section="§4.4.3",
    why="only another version is incompatible",
)
UNADVERTISED_FRAMING: Final = Quirk(
    name="unadvertised-framing",
    what="an ICCN has a Framing Type whose bits, or reserved bits, we never advertised",
    section="§4.4.4",
    why="PPP in L2TP has no framing left; the field describes a line that is not ours",
)
UNKNOWN_RESULT: Final = Quirk(
    name="unknown-result",
    what="a Result or Error Code is none of the RFC's, or an Error Code comes with another result",
    section="§4.4.2",
    why="it is the reason of an end that comes anyway, and it is shown",
)
NOT_UTF8: Final = Quirk(
    name="not-utf-8",
    what="a name or a message is not UTF-8, such as a Host Name in Latin-1",
    section="§4.4.3",
    why="it is shown with its odd octets escaped, and compared so",
)
UNASKED_RESPONSE: Final = Quirk(
    name="unasked-response",
    what="a Challenge Response comes where nothing was asked",
    section="§4.4.3",
    why="it proves nothing and is not looked at",
)
SYMMETRIC_SPEED: Final = Quirk(
    name="symmetric-speed",
    what="a peer takes no Rx Connect Speed, though it may be there",
    section="§4.4.4",
    why="we send it only where it differs from the (Tx) Connect Speed, which then says both",
    seen="xl2tpd 136 and 193: WatchGuard",
)

QUIRKS: Final = (
    WRONG_M_BIT,
    MISPLACED_AVP,
    REPEATED_AVP,
    LONG_DATAGRAM,
    RESERVED_HEADER_BITS,
    OUT_OF_ORDER,
    OTHER_PORT,
    MALFORMED_FAREWELL,
    EARLY_LINK_REPORT,
    EARLY_HELLO,
    STRAY_SESSION_ID,
    SESSION_ID_FOR_TUNNEL,
    OTHER_ASSIGNED_ID,
    PROXY_ID_UPPER_OCTET,
    NEWER_REVISION,
    UNADVERTISED_FRAMING,
    UNKNOWN_RESULT,
    NOT_UTF8,
    UNASKED_RESPONSE,
    SYMMETRIC_SPEED,
)
"""Everything that is taken although it need not be."""
