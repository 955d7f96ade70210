"""One frozen dataclass per control message (RFC 2661 §6)."""

from __future__ import annotations


class ControlMessage:
    """Root of the control messages."""
