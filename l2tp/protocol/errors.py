"""What can go wrong, whose fault it is, and the codes that tell the peer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from l2tp.protocol.constants import (
    CALL_RESULT_MEANINGS,
    ERROR_CODE_MEANINGS,
    STOP_RESULT_MEANINGS,
    CallResult,
    ErrorCode,
    StopResult,
)

_GENERAL_ERROR: Final = 2


@dataclass(frozen=True, slots=True)
class ResultCode:
    """Why a tunnel or a session ends: the value of the Result Code AVP (RFC 2661 §4.4.2).

    `result` is a StopResult or a CallResult (uint16); `error` an ErrorCode (uint16) or None when
    the AVP ends before it; `message` human-readable UTF-8, which needs an error code before it.
    """

    result: int
    error: int | None = None
    message: str = ""

    def describe(self, *, of_call: bool) -> str:
        """Say it in words; `of_call` picks the CDN's meanings, else the StopCCN's."""
        meanings = CALL_RESULT_MEANINGS if of_call else STOP_RESULT_MEANINGS
        text = f"result {self.result}: {meanings.get(self.result, 'unknown result code')}"
        if self.error is not None and self.error:
            meaning = "highest version supported"
            if self.result == _GENERAL_ERROR:
                meaning = ERROR_CODE_MEANINGS.get(self.error, "unknown error code")
            text += f", error {self.error}: {meaning}"
        return f"{text} ({self.message})" if self.message else text


SHUTDOWN: Final = ResultCode(StopResult.SHUTTING_DOWN)
"""The usual reason of an orderly close_tunnel()."""

HANG_UP: Final = ResultCode(CallResult.ADMINISTRATIVE)
"""The usual reason of an orderly hang_up()."""


def cite(section: str) -> str:
    """The section as people are told of it: RFC 2661's unless it names another document."""
    return f"RFC 2661 {section}" if section.startswith("§") else section


class L2tpError(Exception):
    """Root of every error this package raises on purpose; str() is one paragraph for users."""


class ProtocolError(L2tpError):
    """A rule was broken; `section` names it (RFC 2661's, or with the name of another document).

    `result` goes out to the peer.
    """

    def __init__(
        self,
        text: str,
        *,
        section: str,
        error: int = ErrorCode.VALUE_OUT_OF_RANGE,
        result: ResultCode | None = None,
    ) -> None:
        super().__init__(f"{text} ({cite(section)})")
        self.text = text
        self.section = section
        # StopCCN and CDN agree on 2, "general error" (§4.4.2), so one default serves both.
        self.result = result or ResultCode(_GENERAL_ERROR, error, text)


class LocalProtocolError(ProtocolError):
    """Our side asked for something the protocol forbids, such as a call in a closed tunnel."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule; `result` says what to tell it."""


class HeaderError(RemoteProtocolError):
    """The header is malformed, so the datagram is discarded (RFC 2661 §7.1)."""


class MessageError(RemoteProtocolError):
    """A message whose header is good cannot be accepted.

    `message_type` is the uint16 of the Message Type AVP (None if even that is missing), `fields`
    what could be decoded nevertheless: enough to address the StopCCN or CDN that answers it.
    """

    def __init__(
        self,
        text: str,
        *,
        section: str,
        error: int = ErrorCode.VALUE_OUT_OF_RANGE,
        message_type: int | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(text, section=section, error=error)
        self.message_type = message_type
        self.fields: Mapping[str, object] = fields or {}


class KernelError(L2tpError):
    """A system call on the data plane failed.

    `operation` says what was tried, `errno` is the system's number, `cure` the command or step
    that mends it.
    """

    def __init__(self, operation: str, errno: int, *, cure: str = "") -> None:
        text = f"{operation}: {os.strerror(errno)} (errno {errno})"
        super().__init__(f"{text}. {cure}" if cure else text)
        self.operation = operation
        self.errno = errno
        self.cure = cure
