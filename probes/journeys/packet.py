"""What a packet is, from its first octets: IP, PPP, and L2TP inside UDP. Pure, and never fails."""

import ipaddress
from typing import NamedTuple

PPP_CONTROL_FROM = 0xC000
_PPP_NAMES = {
    0xC021: "lcp", 0xC023: "pap", 0xC223: "chap", 0x8021: "ipcp", 0x8057: "ipv6cp", 0x80FD: "ccp",
}  # fmt: skip
_IP_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_INNER_IP = (0x0021, 0x0057)


class Inner(NamedTuple):
    """What the subscriber's packet says of itself; empty where it was not seen.

    protocol: such as icmp, tcp, lcp, or a number.
    """

    protocol: str = ""
    source: str = ""
    destination: str = ""
    ppp_protocol: int = 0


def of_ip(octets: bytes) -> Inner:
    """Read an IPv4 or IPv6 packet."""
    version = octets[0] >> 4 if octets else 0
    if version == 4 and len(octets) >= 20:
        return Inner(
            _name(octets[9]),
            str(ipaddress.IPv4Address(octets[12:16])),
            str(ipaddress.IPv4Address(octets[16:20])),
            0x0021,
        )
    if version == 6 and len(octets) >= 40:
        return Inner(
            _name(octets[6]),
            str(ipaddress.IPv6Address(octets[8:24])),
            str(ipaddress.IPv6Address(octets[24:40])),
            0x0057,
        )
    return Inner()


def _name(ip_protocol: int) -> str:
    return _IP_NAMES.get(ip_protocol, str(ip_protocol))


def of_ppp(frame: bytes) -> Inner:
    """Read a PPP frame, with or without address and control (RFC 1661 §6.5, §6.6)."""
    if frame[:2] == b"\xff\x03":
        frame = frame[2:]
    if len(frame) < 2:
        return Inner()
    octets = 1 if frame[0] & 1 else 2
    protocol = int.from_bytes(frame[:octets], "big")
    if protocol in _INNER_IP:
        return of_ip(frame[octets:])
    return Inner(_PPP_NAMES.get(protocol, f"ppp {protocol:#06x}"), ppp_protocol=protocol)


def l2tp_of_ip(octets: bytes) -> bytes:
    """Give the UDP payload of an IP packet; empty when there is none."""
    version = octets[0] >> 4 if octets else 0
    header = (octets[0] & 0xF) * 4 if version == 4 else 40
    return octets[header + 8 :] if version in (4, 6) else b""


def has_sequence(message: bytes) -> bool:
    """Say whether an L2TP message carries Ns and Nr (RFC 2661 §3.1: the S bit)."""
    return bool(message) and bool(message[0] & 0x08)


def of_l2tp(message: bytes) -> Inner:
    """Read what a data message carries (RFC 2661 §3.1)."""
    if len(message) < 6 or message[0] & 0x80:
        return Inner()
    return of_ppp(message[header_octets(message) :])


def header_octets(message: bytes) -> int:
    """Say how long a data message's header is by its flags, the offset's padding included."""
    flags = message[0]
    octets = 8 if flags & 0x40 else 6
    octets += 4 if flags & 0x08 else 0
    if flags & 0x02:
        octets += 2 + int.from_bytes(message[octets : octets + 2], "big")
    return octets
