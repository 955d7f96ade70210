"""The CDNs of a capture as tshark reads them, which knows nothing of us."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.kernel.daemon_support import ADDRESSES, Network
from tests.support.dissection import read_fields

_CDN = 14
_IS_CDN = bytes.fromhex("8008 0000 0000") + _CDN.to_bytes(2, "big")
"""The first AVP of a CDN, which says what it is (RFC 2661 §4.4.1)."""

# In the order of HangUp.
_FIELDS = (
    "l2tp.result_code",
    "l2tp.avp.error_code",
    "l2tp.avp.disconnect_code",
    "l2tp.avp.control_protocol_number",
    "l2tp.avp.cause_code_direction",
)

# From the start of the UDP header: what is a control message, and of which type.
_SAYS_NOTHING = f"udp length > 30 @th,64,1 1 @th,208,16 {_CDN} drop"


class HangUp(NamedTuple):
    """What a CDN says: AVP 1 (RFC 2661 §4.4.2), and AVP 46 (RFC 3145 §2)."""

    result: int
    error: int
    code: int
    protocol: int
    direction: int


def is_seen(capture: Path) -> bool:
    """Tell whether a capture that may go on has a CDN yet."""
    return _IS_CDN in capture.read_bytes()


def hang_ups(capture: Path) -> set[tuple[str, HangUp]]:
    """Return the CDNs of a capture that has ended, each with the role that sent it.

    Raises ValueError for one without an AVP 46.
    """
    roles = {address: role for role, address in ADDRESSES[4].items()}
    rows = read_fields(capture, ("ip.src", *_FIELDS), f"l2tp.avp.message_type == {_CDN}")
    return {(roles[source], HangUp(*(int(value, 0) for value in said))) for source, *said in rows}


def keep_from_hanging_up(network: Network, role: str) -> None:
    """Let no CDN of that end onto the link; whatever else it sends gets through."""
    chain = f"chain out {{ type filter hook output priority 0; {_SAYS_NOTHING}; }}"
    inside = ("ip", "netns", "exec", network.names[role])
    network.run(*inside, "nft", f"table inet dumb {{ {chain}; }}")
