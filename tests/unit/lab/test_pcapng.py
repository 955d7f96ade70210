"""Journeys as pcapng: interfaces named by node, original lengths, comments, losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket, InterfaceDescription, SectionHeader

from lab.results.pcapng import JourneyCapture
from tests.unit.lab.test_journey_picture import hop, journey, status

PACKET = "45" + "00" * 19


def record(*hops: dict[str, Any], **more: Any) -> dict[str, Any]:
    return journey(*hops) | {"kind": "journey", "time_ns": 100, "wall_ns": 1_700 * 10**15} | more


def written(capture: JourneyCapture, path: Path) -> list[Any]:
    capture.write(path)
    with path.open("rb") as file:
        return list(FileScanner(file))


def test_packets_stand_in_order_on_interfaces_named_by_node(tmp_path: Path) -> None:
    capture = JourneyCapture()
    capture.add(
        record(
            hop("ppp_start_xmit", 0, 84, node="lac", interface="ppp0", octets=PACKET)
            | {"time_ns": 100},
            hop("l2tp_xmit_skb", 4, 88, octets="ff03" + PACKET) | {"time_ns": 104},
            hop("net_dev_start_xmit", 5, 136, node="lac", interface="core", octets="00" * 30)
            | {"time_ns": 109},
            hop("l2tp_udp_encap_recv", 7, 102, node="lns", octets=PACKET) | {"time_ns": 116},
        )
    )
    blocks = written(capture, tmp_path / "a.pcapng")
    interfaces = [b for b in blocks if isinstance(b, InterfaceDescription)]
    assert [(i.options["if_name"], i.link_type) for i in interfaces] == [
        ("lac ppp0", 101), ("lac core", 1), ("lns l2tp_udp_encap_recv", 101),
    ]  # fmt: skip
    packets = [b for b in blocks if isinstance(b, EnhancedPacket)]
    # At the hook the UDP datagram is counted, and the IP header before it shown.
    assert [(p.packet_len, p.captured_len) for p in packets] == [(84, 20), (136, 30), (122, 20)]
    stamps = [p.timestamp_high << 32 | p.timestamp_low for p in packets]
    assert stamps == [1_700 * 10**15 + ns for ns in (0, 9, 16)]
    comment = packets[1].options["opt_comment"]
    assert comment == (
        "journey a-1: ppp_start_xmit, l2tp_xmit_skb +0.0 µs, net_dev_start_xmit +0.0 µs\n"
        "verdict: delivered: delivered to its ppp interface"
    )


def packets_of(tmp_path: Path, *records: dict[str, Any]) -> list[Any]:
    capture = JourneyCapture()
    for one in records:
        capture.add(one)
    blocks = written(capture, tmp_path / "a.pcapng")
    return [block for block in blocks if isinstance(block, EnhancedPacket)]


@pytest.mark.parametrize(
    ("octets", "length", "link_type"),
    [
        ("45000028" + "00" * 16, 40, 101),  # a tunnel inside a tunnel leaves by a ppp device
        ("6000000000141140" + "00" * 32, 60, 101),
        ("450000280000" + "00" * 14, 54, 1),  # an Ethernet address that looks like it
        ("00" * 30, 136, 1),
    ],
)
def test_a_device_without_ethernet_has_none_in_the_file(
    tmp_path: Path, octets: str, length: int, link_type: int
) -> None:
    wire = hop("net_dev_start_xmit", 0, length, node="lac", interface="ppp1", octets=octets)
    (packet,) = packets_of(tmp_path, record(wire))
    assert packet.interface.link_type == link_type
    assert packet.packet_len == length


@pytest.mark.parametrize(("header", "length"), [("45", 122), ("46", 126), ("60", 142)])
def test_the_ip_header_before_the_datagram_counts(tmp_path: Path, header: str, length: int) -> None:
    one = hop("l2tp_udp_encap_recv", 0, 102, node="lns", octets=header + "00" * 63)
    (packet,) = packets_of(tmp_path, record(one))
    assert packet.packet_len == length


def test_a_journey_told_again_takes_the_place_of_what_was_told(tmp_path: Path) -> None:
    first = hop("ppp_start_xmit", 0, 84, node="lac", interface="ppp0", octets=PACKET)
    last = hop("netif_rx", 9, 84, node="lns", interface="ppp0", octets=PACKET)
    other = record(first) | {"journey": "b-2"}
    packets = packets_of(tmp_path, record(first), other, record(first, last) | {"again": True})
    comments = [packet.options["opt_comment"].split(":")[0] for packet in packets]
    assert sorted(comments) == ["journey a-1", "journey a-1", "journey b-2"]


def test_losses_are_in_the_sections_comment(tmp_path: Path) -> None:
    capture = JourneyCapture(limit=1)
    one = hop("netif_rx", 0, 84, node="lns", interface="ppp0", octets=PACKET)
    capture.add(record(one, one))
    capture.add(status())
    (section, *_) = written(capture, tmp_path / "a.pcapng")
    assert isinstance(section, SectionHeader)
    assert section.options["opt_comment"] == (
        "events lost: 5; not attached: kfree_skb: hides drops (refused); lost: 3 events for which"
        " the ring buffer had no room; lost: 2 runs of l2tp_xmit_skb that the kernel skipped; lost:"
        " 5 journeys given up for want of memory; packets left out for want of room: 1; probes:"
        " fentry; 200 ns a packet (kernel BPF statistics)"
    )


def test_a_file_of_probes_that_ended_early_says_so(tmp_path: Path) -> None:
    (section, *_) = written(JourneyCapture(), tmp_path / "a.pcapng")
    assert "ended before" in section.options["opt_comment"]
