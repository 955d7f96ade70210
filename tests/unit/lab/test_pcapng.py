"""Journeys as pcapng: interfaces named by node, original lengths, comments, losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket, InterfaceDescription, SectionHeader

from lab.results.pcapng import JourneyCapture
from tests.unit.lab.test_journey_picture import hop, journey

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


def test_losses_are_in_the_sections_comment(tmp_path: Path) -> None:
    capture = JourneyCapture(limit=1)
    one = hop("netif_rx", 0, 84, node="lns", interface="ppp0", octets=PACKET)
    capture.add(record(one, one))
    hook = {"name": "kfree_skb", "attached": False, "hides": "drops"}
    capture.add({"kind": "status", "hooks": [hook], "lost_events": 7})
    (section, *_) = written(capture, tmp_path / "a.pcapng")
    assert isinstance(section, SectionHeader)
    assert section.options["opt_comment"] == (
        "events lost: 7; packets left out for want of room: 1;"
        " not attached: kfree_skb (hides drops)"
    )
