"""A journey drawn: hops, lengths, times, the end; on a terminal within its width."""

from __future__ import annotations

from typing import Any

from lab.pictures.journey import draw_honesty, draw_journey, duration
from probes.journeys.events import Hop


def hop(name: str, since_ns: int, length: int, **more: Any) -> dict[str, Any]:
    return {
        "hop": name, "time_ns": 0, "since_ns": since_ns, "length": length, "netns": None,
        "node": None, "interface": None, "tunnel_id": None, "session_id": None,
        "peer_tunnel_id": None, "peer_session_id": None, "octets": "",
    } | more  # fmt: skip


def journey(*hops: dict[str, Any], **end: Any) -> dict[str, Any]:
    packet = {"protocol": "icmp", "source": "10.64.0.2", "destination": "2001:db8::1"}
    ending = {
        "outcome": "delivered", "verdict": "delivered", "says": "delivered to its ppp interface",
        "reason": "", "function": "",
    }  # fmt: skip
    return {
        "journey": "a-1", "copy_of": None, "again": False, "duration_ns": 412_345, "packet": packet,
        "end": ending | end, "hops": list(hops),
    }  # fmt: skip


def test_each_hop_is_a_line_with_what_changed() -> None:
    text = draw_journey(
        journey(
            hop("ppp_start_xmit", 0, 84, node="lac", interface="ppp0"),
            hop("l2tp_xmit_skb", 4100, 88, node="lac", tunnel_id=15345, session_id=41425),
            hop("netif_receive_skb", 12_300_000, 122, node="lns", interface="core"),
        )
    )
    assert text.splitlines() == [
        "✓ icmp  10.64.0.2 → 2001:db8::1",
        "  lac      ppp0     ppp_start_xmit         84            0 ns  into PPP",
        "                    l2tp_xmit_skb          88    +4    4.1 µs  15345/41425",
        "  lns      core     netif_receive_skb     122   +34   12.3 ms  off the wire",
        "  delivered to its ppp interface, after 412.3 µs",
    ]


def test_a_drop_has_the_kernels_words() -> None:
    end = {"outcome": "dropped", "says": "dropped", "reason": "NETFILTER_DROP", "function": "nf"}
    lines = draw_journey(journey(hop("dropped", 1, 84), **end)).splitlines()
    assert lines[0].startswith("✗")
    assert lines[-1] == "  the kernel says: NETFILTER_DROP in nf"


def test_no_line_reaches_80_columns_and_ascii_is_ascii() -> None:
    hops = [
        hop(one.name.lower(), 999_999_999, 65535, node="a-long-node-name", netns=4026531840,
            interface="interface-name1", tunnel_id=65535, session_id=65535)
        for one in Hop
    ]  # fmt: skip
    hops += [hop(one.name.lower(), 10**9, 1) for one in Hop]
    lost = {"says": "lost from sight after l2tp_udp_encap_recv: drops cannot be seen here"}
    told = journey(*hops, **lost, reason="TOO_LONG", function="a_function_with_a_long_name" * 2)
    address = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"
    told["packet"] |= {"source": address, "destination": address}
    text = draw_journey(told | {"again": True, "copy_of": "a-1"}, width=79, ascii_only=True)
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 80


def test_nothing_is_cut_without_a_width_and_with_one_what_is_cut_is_marked() -> None:
    told = journey(
        hop("net_dev_queue", 1, 84, node="a-long-node-name", interface="interface-name1"),
        hop("passed_up", 1, 84),
        hop("received", 1, 84),
    )
    whole = draw_journey(told)
    assert "a-long-node-name interface-name1 net_dev_queue" in whole
    assert "…" not in whole and "into its queue" in whole and "into the stack" in whole
    for line in draw_journey(told, width=70).splitlines()[1:4]:
        assert len(line) <= 70 and line.endswith("…")


def test_times_have_the_unit_that_suits_them() -> None:
    assert [duration(t).split() for t in (7, 7_000, 7_000_000, 7_000_000_000)] == [
        ["7", "ns"], ["7.0", "µs"], ["7.0", "ms"], ["7.0", "s"],
    ]  # fmt: skip


def test_long_names_keep_the_end_that_tells_them_apart() -> None:
    hops = [hop("ppp_start_xmit", 0, 84, node=name) for name in ("l2tp-lab-lac", "l2tp-lab-lns")]
    first, second = draw_journey(journey(*hops), width=79).splitlines()[1:3]
    assert (first.split()[0], second.split()[0]) == ("…lab-lac", "…lab-lns")


def test_a_journey_that_went_on_is_told_as_such() -> None:
    told = journey(hop("netif_rx", 0, 84)) | {"again": True}
    assert draw_journey(told).startswith("✓ it went on: icmp")


def status(**more: Any) -> dict[str, Any]:
    quiet = {"reason": "", "how": "fentry", "missed": 0, "run_count": 0, "run_ns": 0}
    hooks = [
        quiet | {"name": "kfree_skb", "attached": False, "hides": "drops", "reason": "refused"},
        quiet | {"name": "l2tp_xmit_skb", "attached": True, "hides": "", "missed": 2,
                 "run_count": 400, "run_ns": 80_000},
    ]  # fmt: skip
    losses = {"no_room_for_event": 3, "no_room_to_follow": 0}
    return {
        "kind": "status", "hooks": hooks, "losses": losses, "forgotten_journeys": 5,
        "lost_events": 5,
    } | more  # fmt: skip


def test_what_was_not_seen_is_said_and_what_the_probes_cost() -> None:
    assert draw_honesty(status()).splitlines() == [
        "not attached: kfree_skb: hides drops (refused)",
        "lost: 3 events for which the ring buffer had no room",
        "lost: 2 runs of l2tp_xmit_skb that the kernel skipped",
        "lost: 5 journeys given up for want of memory",
        "probes: fentry; 200 ns a packet (kernel BPF statistics)",
    ]
    assert "a packet" not in draw_honesty(status(kind="ready"))
