"""Texts of the configuration that travel in an AVP: names and numbers."""

from __future__ import annotations

from typing import Final

from l2tp.config.toml_table import Table
from l2tp.protocol.avp import MAXIMUM_AVP_SIZE

# The AVP's own header (RFC 2661 §4.1), and what hiding may add: a length and padding (§4.3).
_OVERHEAD: Final = 6 + 2 + 15
LONGEST_AVP_TEXT: Final = MAXIMUM_AVP_SIZE - _OVERHEAD
"""Octets of UTF-8 that fit into any AVP, hidden or not.

A bound of its own, for l2tp.protocol's encoders are imported only once the daemon listens.
"""


def read_avp_text(table: Table, key: str, default: str | None = None) -> str:
    """Read a text, and note one that is longer than an AVP can be."""
    value = table.text(key, default)
    if (length := len(value.encode())) > LONGEST_AVP_TEXT:
        table.problem(
            key,
            f"has {length} octets, and an AVP has room for {LONGEST_AVP_TEXT} (RFC 2661 §4.1); "
            "shorten it",
        )
    return value
