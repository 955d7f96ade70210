"""Journeys as pcapng: each packet where it was seen, with its journey and its end as comments.

One interface block for each node and interface, so that Wireshark names them. Packets are cut
after what the probes keep of them (all headers); the original lengths are told.
Format: draft-ietf-opsawg-pcapng, written by python-pcapng.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lab.pictures.journey import honesty
from probes.figures.table import cost

# Link types (www.tcpdump.org/linktypes.html) of what the probes see at each hop.
_ETHERNET, _PPP, _RAW_IP = 1, 9, 101
_LINK_TYPES = {
    "ppp_start_xmit": _RAW_IP,
    "l2tp_xmit_skb": _PPP,
    "net_dev_start_xmit": _ETHERNET,
    "l2tp_udp_encap_recv": _RAW_IP,
    "netif_rx": _RAW_IP,
}
_NANOSECONDS = b"\x09"  # if_tsresol: 10^-9 s

_IPV4_OCTETS, _IPV6_OCTETS = 20, 40


class _Seen(NamedTuple):
    wall_ns: int
    interface: tuple[str, str, int]
    length: int
    octets: bytes
    comment: str
    journey: str


class JourneyCapture:
    """Collects journeys (docs/trace.md), then writes them in order of time.

    limit: how many packets it keeps; ``left_out`` counts those beyond. A journey that is told again
    takes the place of what was told of it.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._seen: list[_Seen] = []
        self._status: Mapping[str, Any] = {}
        self.left_out = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Take over a record of the probes; what is no journey tells of losses."""
        if record["kind"] != "journey":
            self._status = record
            return
        if record["again"]:
            self._seen = [seen for seen in self._seen if seen.journey != record["journey"]]
        wall_offset = record["wall_ns"] - record["time_ns"]
        node = ""
        for number, hop in enumerate(record["hops"]):
            node = hop["node"] or (str(hop["netns"]) if hop["netns"] else node)
            if not hop["octets"] or (hop["hop"] == "l2tp_xmit_skb" and number):
                continue
            if len(self._seen) >= self._limit:
                self.left_out += 1
                continue
            octets = bytes.fromhex(hop["octets"])
            interface = (node, hop["interface"] or hop["hop"], _link_type(hop, octets))
            wall_ns = hop["time_ns"] + wall_offset
            comment = _comment(record, number)
            length = _length(hop, octets)
            name = record["journey"]
            self._seen.append(_Seen(wall_ns, interface, length, octets, comment, name))

    def write(self, path: Path) -> None:
        """Write the file. Raises OSError."""
        from pcapng import FileWriter, blocks

        section = blocks.SectionHeader(
            options={
                "opt_comment": _losses(self._status, self.left_out),
                "shb_userappl": "l2tp-lab",
            }
        )
        numbers: dict[tuple[str, str, int], int] = {}
        for seen in self._seen:
            if seen.interface not in numbers:
                numbers[seen.interface] = len(numbers)
                node, interface, link_type = seen.interface
                section.new_member(
                    blocks.InterfaceDescription,
                    link_type=link_type,
                    options={"if_name": f"{node} {interface}", "if_tsresol": _NANOSECONDS},
                )
        with path.open("wb") as file:
            writer = FileWriter(file, section)
            for seen in sorted(self._seen, key=lambda seen: seen.wall_ns):
                packet = section.new_member(
                    blocks.EnhancedPacket,
                    interface_id=numbers[seen.interface],
                    timestamp_high=seen.wall_ns >> 32,
                    timestamp_low=seen.wall_ns & 0xFFFFFFFF,
                    packet_len=seen.length,
                    packet_data=seen.octets,
                    options={"opt_comment": seen.comment},
                )
                writer.write_block(packet)


def _link_type(hop: Mapping[str, Any], octets: bytes) -> int:
    """Say what the octets begin with: at a device without Ethernet that is the IP packet."""
    link_type = _LINK_TYPES[hop["hop"]]
    if link_type == _ETHERNET and _ip_length(octets) == hop["length"]:
        return _RAW_IP
    return link_type


def _ip_length(octets: bytes) -> int:
    """Read how long the IP packet is that octets begin with; 0 where they begin with none."""
    version = octets[0] >> 4
    if version == 4 and len(octets) >= _IPV4_OCTETS:
        return int.from_bytes(octets[2:4], "big")
    if version == 6 and len(octets) >= _IPV6_OCTETS:
        return _IPV6_OCTETS + int.from_bytes(octets[4:6], "big")
    return 0


def _length(hop: Mapping[str, Any], octets: bytes) -> int:
    """Say how long the packet is from where its octets begin.

    At the hook the UDP datagram is counted, and the IP header before it shown.
    """
    length = int(hop["length"])
    if hop["hop"] == "l2tp_udp_encap_recv":
        header = _IPV6_OCTETS if octets[0] >> 4 == 6 else 4 * (octets[0] & 0xF)
        length += header
    return max(length, len(octets))


def _comment(journey: Mapping[str, Any], number: int) -> str:
    hops = journey["hops"]
    so_far = ", ".join(
        f"{hop['hop']} +{hop['since_ns'] / 1000:.1f} µs" if index else hop["hop"]
        for index, hop in enumerate(hops[: number + 1])
    )
    end = journey["end"]
    copy = f", a copy of {journey['copy_of']}" if journey["copy_of"] else ""
    kernel = f" (kernel: {end['reason']} in {end['function']})" if end["reason"] else ""
    return (
        f"journey {journey['journey']}{copy}: {so_far}\n"
        f"verdict: {end['verdict'] or end['outcome']}: {end['says']}{kernel}"
    )


def _losses(status: Mapping[str, Any], left_out: int) -> str:
    if not status:
        return "the probes ended before they could say what was lost"
    said = honesty(status)
    if left_out:
        said.append(f"packets left out for want of room: {left_out}")
    return "; ".join([f"events lost: {status['lost_events']}", *said, cost(status["hooks"])])
