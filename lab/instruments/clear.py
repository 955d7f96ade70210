"""What of a capture between IPsec's ends was in the clear, as a pcap filter.

It starts from all that there is, of whatever address and protocol, and lets pass: what IPsec
itself sends, what neighbours ask each other, and errors that quote the former.
"""

from __future__ import annotations

from lab.instruments.capture import Capture

_IKE_PORTS = (500, 4500)

#: IKE, ESP, and both in UDP behind a NAT (RFC 7296 §2, RFC 3948).
_PROTECTED = " or ".join(("esp", *(f"udp port {port}" for port in _IKE_PORTS)))

#: Neighbour discovery (RFC 4861 §4), and who listens to its groups (RFC 3810 §5.2.14).
_NEIGHBOURS = (
    "arp or (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) or (ip6[6] == 0 and ip6 dst ff02::16)"
)


def _quoting(protocol: str, ports: tuple[str, str]) -> str:
    """Match an ICMP error by what it quotes, for that is in the clear: L2TP perhaps."""
    known = " or ".join(f"{where} == {port}" for where in ports for port in _IKE_PORTS)
    return f"({protocol} == 50 or ({protocol} == 17 and ({known})))"


#: Unreachable, time exceeded, parameter problem; a quoted header has 20 bytes (RFC 792, RFC 4443).
_ERRORS = (
    "(icmp and (icmp[0] == 3 or icmp[0] == 11 or icmp[0] == 12) and "
    f"{_quoting('icmp[17]', ('icmp[28:2]', 'icmp[30:2]'))}) or "
    f"(icmp6 and ip6[40] < 128 and {_quoting('ip6[54]', ('ip6[88:2]', 'ip6[90:2]'))})"
)

IN_THE_CLEAR = f"not ({_PROTECTED} or {_NEIGHBOURS} or {_ERRORS})"


def count_clear(captured: Capture) -> int:
    """End a capture and count the packets that told somebody on the way what they carry."""
    return captured.count(IN_THE_CLEAR)
