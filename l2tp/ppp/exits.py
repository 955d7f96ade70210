"""Why a pppd ended: its exit status → words, and the result code for the CDN.

The statuses are pppd(8)'s, section EXIT STATUS.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Final

from l2tp.constants import CallResult, ErrorCode
from l2tp.errors import ResultCode


@dataclass(frozen=True, slots=True)
class PppExit:
    """The end of a pppd: its status (negative: the signal that ended it) and what it means."""

    status: int
    cause: str
    result: CallResult

    def result_code(self) -> ResultCode:
        """Return what the CDN says (RFC 2661 §4.4.2)."""
        error = ErrorCode.NO_GENERAL_ERROR
        if self.result is CallResult.GENERAL_ERROR:
            error = ErrorCode.VENDOR_SPECIFIC
        return ResultCode(self.result, error, self.cause)


_ADMINISTRATIVE: Final = CallResult.ADMINISTRATIVE
_LOST: Final = CallResult.LOST_CARRIER
_FAULT: Final = CallResult.GENERAL_ERROR

_MEANINGS: Final[dict[int, tuple[str, CallResult]]] = {
    0: ("PPP ended", _LOST),
    1: ("pppd met a fatal error", _FAULT),
    2: ("pppd refused its options", _FAULT),
    3: ("pppd is not run as root", _FAULT),
    4: ("the kernel has no PPP; modprobe ppp_generic", _FAULT),
    5: ("PPP was ended on request", _ADMINISTRATIVE),
    8: ("pppd could not take its channel", _FAULT),
    10: ("PPP negotiation failed: no network protocol came up", _LOST),
    11: ("the peer failed to authenticate itself", _ADMINISTRATIVE),
    12: ("the link was idle too long", _ADMINISTRATIVE),
    13: ("the connect time limit was reached", _ADMINISTRATIVE),
    15: ("the peer stopped answering LCP echo requests", _LOST),
    16: ("the peer ended PPP, or the session left the kernel", _LOST),
    17: ("the link is looped back", _FAULT),
    19: ("we failed to authenticate ourselves to the peer", _ADMINISTRATIVE),
}


# How pppd ends when it is told to: in order, by its own farewell, or with its channel gone.
_ASKED_FOR: Final = frozenset({0, 5, 16, -signal.SIGTERM, -signal.SIGKILL})


def explain_exit(status: int, *, asked: bool = False) -> PppExit:
    """Say what pppd's exit status means; a negative one is the signal that ended it.

    ``asked`` says that we told it to end.
    """
    if asked and status in _ASKED_FOR:
        return PppExit(status, "PPP was ended on request", _ADMINISTRATIVE)
    if status < 0:
        return PppExit(status, f"pppd was ended by signal {-status}", _LOST)
    cause, result = _MEANINGS.get(status, (f"pppd ended with status {status}", _FAULT))
    return PppExit(status, cause, result)
