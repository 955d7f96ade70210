"""What counts as sent in the clear: frames of every kind, read by the filter that checks use."""

from __future__ import annotations

import struct
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from lab.instruments.clear import IN_THE_CLEAR

pytestmark = pytest.mark.kernel

LAC, LNS, LAC6, LNS6 = "192.0.2.66", "198.51.100.2", "2001:db8::66", "2001:db8:1::2"


def udp(source: int, destination: int, payload: bytes = bytes(12)) -> bytes:
    return struct.pack("!HHHH", source, destination, 8 + len(payload), 0) + payload


def ip(protocol: int, payload: bytes, source: str = LAC, destination: str = LNS) -> bytes:
    ends = ip_address(source).packed + ip_address(destination).packed
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + (
        ends + payload
    )


def ip6(protocol: int, payload: bytes, source: str = LAC6, destination: str = LNS6) -> bytes:
    ends = ip_address(source).packed + ip_address(destination).packed
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload


def icmp(kind: int, quoted: bytes = bytes(8)) -> bytes:
    return struct.pack("!BBHI", kind, 0, 0, 0) + quoted


ESP, L2TP = bytes(40), udp(1701, 1701)

IPSEC = {
    "ESP": ip(50, ESP),
    "ESP over IPv6": ip6(50, ESP),
    "IKE": ip(17, udp(500, 500)),
    "IKE behind a NAT": ip(17, udp(1025, 4500)),
    "IKE over IPv6": ip6(17, udp(500, 500)),
    "neighbour solicitation": ip6(58, icmp(135)),
    "router advertisement": ip6(58, icmp(134)),
    "multicast listener report": ip6(0, bytes(16), "fe80::1", "ff02::16"),
    "ICMP error on ESP": ip(1, icmp(3, ip(50, ESP))),
    "ICMP error on IKE": ip(1, icmp(3, ip(17, udp(500, 500)))),
    "ICMPv6 error on ESP": ip6(58, icmp(2, ip6(50, ESP))),
    "ICMPv6 error on IKE": ip6(58, icmp(1, ip6(17, udp(4500, 1025)))),
}

CLEAR = {
    "L2TP": ip(17, L2TP),
    "L2TP over IPv6": ip6(17, L2TP),
    "a user's ping to somebody else": ip(1, icmp(8), LAC, "203.0.113.2"),
    "a user's TCP": ip(6, bytes(20), "10.64.0.2", "203.0.113.2"),
    "a user's UDP over IPv6": ip6(17, udp(40000, 53), destination="2001:db8:2::2"),
    "a user's ping over IPv6": ip6(58, icmp(128), destination="2001:db8:2::2"),
    "ICMP error on L2TP": ip(1, icmp(3, ip(17, L2TP)), LNS, LAC),
    "ICMPv6 error on L2TP": ip6(58, icmp(1, ip6(17, L2TP)), LNS6, LAC6),
    "ICMP error on a ping": ip(1, icmp(3, ip(1, icmp(8)))),
}


def counted(packet: bytes, file: Path) -> int:
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    frame = bytes(12) + struct.pack("!H", kind) + packet
    # Ethernet, as much as there is of each frame (pcap-savefile(5)).
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    file.write_bytes(head + struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    command = ["tcpdump", "--count", "-n", "-r", str(file), IN_THE_CLEAR]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def test_what_ipsec_and_neighbours_send_is_not_in_the_clear(tmp_path: Path) -> None:
    found = {name: counted(packet, tmp_path / "pcap") for name, packet in IPSEC.items()}
    assert found == dict.fromkeys(IPSEC, 0)


def test_all_else_is_to_and_from_whomever(tmp_path: Path) -> None:
    found = {name: counted(packet, tmp_path / "pcap") for name, packet in CLEAR.items()}
    assert found == dict.fromkeys(CLEAR, 1)
