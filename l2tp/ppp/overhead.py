"""What a tunnel takes away from a path's MTU."""

from __future__ import annotations

from typing import Final

_IP: Final = {4: 20, 6: 40}
_UDP: Final = 8
# The driver's own header: version and flags, tunnel id, session id; Ns and Nr when it numbers
# (net/l2tp/l2tp_core.c: l2tp_session_set_header_len). It never sends a length or an offset.
_L2TP: Final = 6
_NUMBERED: Final = 4
# Address, control and protocol field: nothing is compressed (l2tp/ppp/templates).
_PPP: Final = 4


def tunnel_overhead(version: int, *, numbered: bool) -> int:
    """Return the octets around each inner packet, over IP ``version`` 4 or 6."""
    return _IP[version] + _UDP + _L2TP + (_NUMBERED if numbered else 0) + _PPP
