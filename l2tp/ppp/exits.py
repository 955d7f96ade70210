"""Why a pppd ended: its exit status and its last words → cause, and what the CDN says of it.

The statuses are pppd(8)'s, section EXIT STATUS; what they leave open, pppd's messages tell.
"""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from l2tp.protocol.constants import CallResult, ErrorCode
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.extensions import DisconnectCode, DisconnectDirection
from l2tp.protocol.values import DisconnectCause

LCP: Final = 0xC021
PAP: Final = 0xC023
CHAP: Final = 0xC223
IPCP: Final = 0x8021
IPV6CP: Final = 0x8057


@dataclass(frozen=True, slots=True)
class PppExit:
    """The end of a pppd: its status (negative: the signal that ended it) and what it means.

    ``code``, ``protocol`` (PPP's number of it, 0 for none) and ``direction`` are what the PPP
    Disconnect Cause Code AVP says (RFC 3145 §2).
    """

    status: int
    cause: str
    result: CallResult
    code: DisconnectCode = DisconnectCode.NO_INFORMATION
    protocol: int = 0
    direction: DisconnectDirection = DisconnectDirection.GLOBAL

    @property
    def by_peer(self) -> bool:
        """Whether PPP ended in order and at the peer's wish: only the peer knows why."""
        return self.code is _C.NORMAL and self.direction is _PEER

    def result_code(self) -> ResultCode:
        """Return the result code of the CDN (RFC 2661 §4.4.2)."""
        error = ErrorCode.NO_GENERAL_ERROR
        if self.result is CallResult.GENERAL_ERROR:
            error = ErrorCode.VENDOR_SPECIFIC
        return ResultCode(self.result, error, self.cause)

    def disconnect_cause(self) -> DisconnectCause:
        """Return what the CDN says of PPP (RFC 3145 §2)."""
        return DisconnectCause(self.code, self.protocol, self.direction, self.cause)


_ADMINISTRATIVE: Final = CallResult.ADMINISTRATIVE
_LOST: Final = CallResult.LOST_CARRIER
_FAULT: Final = CallResult.GENERAL_ERROR
_NO_FRAMING: Final = CallResult.NO_FRAMING_DETECTED

_C: Final = DisconnectCode
_PEER: Final = DisconnectDirection.AT_PEER
_HERE: Final = DisconnectDirection.AT_LOCAL

_MEANINGS: Final[dict[int, PppExit]] = {
    end.status: end
    for end in (
        PppExit(0, "PPP ended", _LOST, _C.NORMAL),
        PppExit(1, "pppd met a fatal error", _FAULT),
        PppExit(2, "pppd refused its options", _FAULT),
        PppExit(3, "pppd is not run as root", _FAULT),
        PppExit(4, "the kernel has no PPP; modprobe ppp_generic", _FAULT),
        PppExit(5, "PPP was ended on request", _ADMINISTRATIVE, _C.ADMINISTRATIVE),
        PppExit(8, "pppd could not take its channel", _FAULT),
        PppExit(10, "PPP negotiation failed: no network protocol came up", _LOST, _C.NO_NCPS),
        PppExit(
            11,
            "the peer failed to authenticate itself",
            _ADMINISTRATIVE,
            _C.AUTHENTICATION_FAILED,
            direction=_PEER,
        ),
        PppExit(12, "the link was idle too long", _ADMINISTRATIVE, _C.NORMAL, LCP, _HERE),
        PppExit(13, "the connect time limit was reached", _ADMINISTRATIVE, _C.NORMAL, LCP, _HERE),
        PppExit(15, "the peer stopped answering LCP echo requests", _LOST, _C.ECHO_TIMEOUT, LCP),
        PppExit(
            16,
            "the peer ended PPP, or the session left the kernel",
            _LOST,
            _C.NORMAL,
            LCP,
            _PEER,
        ),
        PppExit(17, "the link is looped back", _FAULT, _C.LOOPED_BACK, LCP),
        PppExit(
            19,
            "we failed to authenticate ourselves to the peer",
            _ADMINISTRATIVE,
            _C.AUTHENTICATION_FAILED,
            direction=_HERE,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class _Word:
    """What one of pppd's messages adds to a status: sharper words, and whose fault it was."""

    said: str
    cause: str
    code: DisconnectCode
    protocol: int
    direction: DisconnectDirection = DisconnectDirection.GLOBAL
    result: CallResult | None = None


_LCP_TIMEOUT: Final = _Word(
    "LCP: timeout sending Config-Requests",
    "LCP did not converge: the peer answers no Configure-Request",
    _C.LCP_TIMEOUT,
    LCP,
    result=_NO_FRAMING,
)

# pppd/{auth,chap,upap,lcp,fsm,ipcp}.c print these; the first that was said decides.
_WORDS: Final[dict[int, tuple[_Word, ...]]] = {
    10: (
        _LCP_TIMEOUT,
        _Word(
            "Could not determine remote IP address",
            "IPCP found no address that both ends accept",
            _C.NO_COMMON_ADDRESS,
            IPCP,
            _HERE,
        ),
        _Word(
            "Could not determine local IP address",
            "IPCP found no address that both ends accept",
            _C.NO_COMMON_ADDRESS,
            IPCP,
            _PEER,
        ),
        _Word(
            "not authorized to use remote address",
            "the peer insists on an address that is not its own",
            _C.ADDRESS_NOT_PERMITTED,
            IPCP,
            _HERE,
        ),
        _Word(
            "IPCP: timeout sending Config-Requests",
            "IPCP did not converge: the peer answers no Configure-Request",
            _C.NCP_TIMEOUT,
            IPCP,
        ),
        _Word(
            "IPV6CP: timeout sending Config-Requests",
            "IPV6CP did not converge: the peer answers no Configure-Request",
            _C.NCP_TIMEOUT,
            IPV6CP,
        ),
    ),
    11: (
        _Word(
            "peer refused to authenticate",
            "the peer refused to authenticate itself: compare ppp.authentication of both ends",
            _C.PROTOCOL_UNACCEPTABLE,
            LCP,
            _PEER,
        ),
        _Word(
            "failed CHAP authentication",
            "the peer failed to authenticate itself (CHAP): wrong name or secret",
            _C.AUTHENTICATION_FAILED,
            CHAP,
            _PEER,
        ),
        _Word(
            "PAP peer authentication failed",
            "the peer failed to authenticate itself (PAP): wrong name or secret",
            _C.AUTHENTICATION_FAILED,
            PAP,
            _PEER,
        ),
    ),
    # pppd waits for the answer to its farewell, and forgets why it said it.
    16: (
        _LCP_TIMEOUT,  # where it heard requests itself, but no answer to its own
        _Word(
            "echo-requests",
            "the peer stopped answering LCP echo requests",
            _C.ECHO_TIMEOUT,
            LCP,
        ),
    ),
    19: (
        _Word(
            "CHAP authentication failed",
            "we failed to authenticate ourselves to the peer (CHAP): wrong name or secret",
            _C.AUTHENTICATION_FAILED,
            CHAP,
            _HERE,
        ),
        _Word(
            "PAP authentication failed",
            "we failed to authenticate ourselves to the peer (PAP): wrong name or secret",
            _C.AUTHENTICATION_FAILED,
            PAP,
            _HERE,
        ),
        _Word(
            "CHAP authentication timed out",
            "the peer did not answer CHAP in time",
            _C.AUTHENTICATION_TIMEOUT,
            CHAP,
        ),
        _Word(
            "No response to PAP authenticate-requests",
            "the peer did not answer PAP in time",
            _C.AUTHENTICATION_TIMEOUT,
            PAP,
        ),
    ),
}

#: No network protocol came within the time that a session gets, and nobody said more.
SILENT_PEER: Final = PppExit(
    -1,
    "PPP was not set up in time: no LCP packet came",
    _NO_FRAMING,
    _C.NO_LCP_PACKETS,
    LCP,
)
NOT_SET_UP: Final = PppExit(
    -1,
    "PPP was not set up in time: no network protocol came up",
    CallResult.NOT_ESTABLISHED_IN_TIME,
    _C.NCP_TIMEOUT,
)

_OF_NETWORK: Final = frozenset({_C.NCP_TIMEOUT, _C.NO_NCPS})


# How pppd ends when it is told to: in order, by its own farewell, or with its channel gone.
_ASKED_FOR: Final = frozenset({0, 5, 16, -signal.SIGTERM, -signal.SIGKILL})


def explain_exit(status: int, *, asked: bool = False, said: Iterable[str] = ()) -> PppExit:
    """Say what pppd's exit status means; a negative one is the signal that ended it.

    ``asked`` says that we told it to end, ``said`` are the lines that it printed.
    """
    if asked and status in _ASKED_FOR:
        return PppExit(
            status, "PPP was ended on request", _ADMINISTRATIVE, DisconnectCode.ADMINISTRATIVE
        )
    if status < 0:
        name = signal.Signals(-status).name
        return PppExit(status, f"pppd was ended by signal {-status} ({name})", _FAULT)
    end = _MEANINGS.get(status) or PppExit(status, f"pppd ended with status {status}", _FAULT)
    lines = tuple(said)
    for word in _WORDS.get(status, ()):
        if any(word.said in line for line in lines):
            return replace(
                end,
                cause=word.cause,
                code=word.code,
                protocol=word.protocol,
                direction=word.direction,
                result=word.result or end.result,
            )
    return end


def name_network_protocol(end: PppExit, families: Collection[str]) -> PppExit:
    """Name a network protocol where an end speaks of one without saying which.

    ``families`` are those that PPP was to bring up: "ipv4", "ipv6". Such an end may name none only
    where none was wanted (RFC 3145 §3.4).
    """
    if end.protocol or end.code not in _OF_NETWORK:
        return end
    return replace(end, protocol=IPCP if "ipv4" in families else IPV6CP)
