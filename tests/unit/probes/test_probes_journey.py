"""Journeys put together from events: which belong together, and how each ends."""

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from probes.journeys.command import told
from probes.journeys.events import CHOICE, EVENT, Cause, Choice, Event, Hop, event_of
from probes.journeys.journey import Journey, Journeys, as_json

PING = bytes.fromhex("450000540000000040010000") + bytes([10, 64, 0, 1, 10, 64, 0, 2])
LCP = b"\xff\x03\xc0\x21\x09\x01\x00\x04"
OUTER = b"\x45" + bytes(8) + b"\x11" + bytes(10) + bytes(8)  # IPv4 and UDP


class Names:
    def node(self, netns: int) -> str | None:
        return {1: "lac", 2: "lns"}.get(netns)

    def function(self, address: int) -> str:
        return {1: "ppp_input", 2: "ppp_read", 3: "l2tp_recv_common", 4: "nf_hook_slow"}.get(
            address, ""
        )

    def reason(self, number: int) -> str:
        return {2: "NOT_SPECIFIED", 8: "NETFILTER_DROP"}[number]


def event(hop: Hop, time_ns: int, skb: int = 0xA, generation: int = 1, **more: Any) -> Event:
    fields: dict[str, Any] = {
        "detail": (0, 0), "length": 84, "netns": 0, "ifindex": 0, "interface": "",
        "tunnel_id": 0, "session_id": 0, "peer_tunnel_id": 0, "peer_session_id": 0,
        "cause": Cause.NONE, "packet": b"",
    }  # fmt: skip
    return Event(time_ns, skb, generation, hop=hop, **(fields | more))


def journeys_of(*events: Event, patience_ns: int = 0) -> list[Journey]:
    journeys = Journeys(Names())
    found = list(journeys.add(events))
    return found + list(journeys.expire(1 << 60, patience_ns))


def way(*hops: Hop, **more: Any) -> list[Event]:
    first = event(hops[0], 0, packet=PING, netns=1, **more)
    return [first, *(event(hop, 10 * n, **more) for n, hop in enumerate(hops[1:], 1))]


def test_a_packet_that_reached_its_interface_is_delivered() -> None:
    (journey,) = journeys_of(*way(Hop.PPP_START_XMIT, Hop.NETIF_RX, Hop.RECEIVED))
    assert journey.end.verdict == "delivered"
    assert (journey.inner.protocol, journey.inner.destination) == ("icmp", "10.64.0.2")
    assert journey.end.node == "lac"


def test_an_address_used_again_is_another_journey_even_if_no_end_was_seen() -> None:
    first = way(Hop.PPP_START_XMIT, Hop.NET_DEV_QUEUE)
    second = [e._replace(time_ns=e.time_ns + 100) for e in way(Hop.PPP_START_XMIT, generation=2)]
    journeys = Journeys(Names())
    (former,) = journeys.add([*first, *second])  # at once, and not for want of patience
    assert (former.generation, len(former.events)) == (1, 2)
    assert former.end.outcome == "lost_from_sight"
    (latter,) = journeys.expire(1 << 60)
    assert (latter.generation, len(latter.events)) == (2, 1)


def test_events_of_two_cpus_are_put_in_order_of_time() -> None:
    late, early, end = way(Hop.PPP_START_XMIT, Hop.NETIF_RX, Hop.RECEIVED)
    (journey,) = journeys_of(early, late, end)
    assert [e.time_ns for e in journey.events] == [0, 10, 20]


def test_a_copy_knows_its_original_and_a_captures_copy_is_none() -> None:
    copy = event(Hop.CLONED, 5, skb=0xB, generation=9, detail=(0xA, 1))
    gone = event(Hop.CONSUMED, 6, skb=0xB, generation=9)
    assert journeys_of(copy, gone) == []
    wire = event(Hop.NET_DEV_START_XMIT, 6, skb=0xB, generation=9, interface="eth0")
    (journey,) = journeys_of(copy, wire, gone._replace(time_ns=7))
    assert journey.original == (0xA, 1)
    assert journey.end.outcome == "left"


@pytest.mark.parametrize(
    ("hop", "location", "cause", "packet", "verdict"),
    [
        (Hop.L2TP_RECV_COMMON, 3, Cause.OUT_OF_SEQUENCE, b"", "out_of_sequence"),
        (Hop.L2TP_RECV_COMMON, 3, Cause.EXPIRED, b"", "expired"),
        (Hop.L2TP_RECV_COMMON, 3, Cause.OUTSIDE_WINDOW, b"", "outside_window"),
        (Hop.L2TP_RECV_COMMON, 3, Cause.NONE, b"\x00\x02\0\1\0\1" + LCP, "sequence_required"),
        (Hop.L2TP_RECV_COMMON, 3, Cause.NONE, b"\x08\x02\0\1\0\1" + LCP, "unknown_cause"),
        (Hop.L2TP_RECV_COMMON, 3, Cause.NONE, b"\x02\x02\0\1\0\1\1\xf4" + LCP, "bad_offset"),
        (Hop.PPP_INPUT, 1, Cause.NONE, b"\x00\x02\0\1\0\1" + LCP, "queue_full"),
        (Hop.PPP_INPUT, 1, Cause.NONE, b"\x00\x02\0\1\0\1\xff\x03\0\x21" + PING, "channel_gone"),
        (Hop.PPP_INPUT, 2, Cause.NONE, b"\x00\x02\0\1\0\1" + LCP, "read"),
        (Hop.PPP_INPUT, 4, Cause.NONE, b"\x00\x02\0\1\0\1\xff\x03\0\x21" + PING, "ppp_refused"),
    ],
)
def test_a_drop_has_its_cause(
    hop: Hop, location: int, cause: Cause, packet: bytes, verdict: str
) -> None:
    begin = event(Hop.L2TP_UDP_ENCAP_RECV, 0, packet=OUTER + packet)
    end = event(Hop.DROPPED, 20, detail=(2, location), cause=cause)
    (journey,) = journeys_of(begin, event(hop, 10), end)
    assert journey.end.verdict == verdict


def test_a_drop_elsewhere_has_the_kernels_reason_and_function() -> None:
    end = event(Hop.DROPPED, 20, detail=(8, 4))
    (journey,) = journeys_of(*way(Hop.PPP_START_XMIT, Hop.NETIF_RECEIVE_SKB), end)
    assert journey.end[:5] == (
        "dropped", None, "dropped in nf_hook_slow: netfilter_drop", "NETFILTER_DROP",
        "nf_hook_slow",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hop", "packet", "verdict"),
    [
        (Hop.PPP_INPUT, OUTER + b"\x00\x02\0\1\0\1" + LCP, "waiting_ppp"),
        (Hop.PPPOL2TP_RECV, b"", "waiting_socket"),
        (Hop.L2TP_RECV_COMMON, b"", "waiting_reorder"),
        (Hop.NET_DEV_QUEUE, b"", "lost_from_sight"),
    ],
)
def test_what_goes_silent_waits_or_is_lost_from_sight(
    hop: Hop, packet: bytes, verdict: str
) -> None:
    begin = event(Hop.L2TP_UDP_ENCAP_RECV, 0, packet=packet)
    (journey,) = journeys_of(begin, event(hop, 10))
    assert journey.end.verdict == verdict


def test_nothing_waits_for_sure_where_drops_cannot_be_seen() -> None:
    journeys = Journeys(Names(), sees_drops=False)
    list(journeys.add([event(Hop.L2TP_RECV_COMMON, 0)]))
    (journey,) = journeys.expire(1, 0)
    assert journey.end.verdict == "lost_from_sight"


def test_nothing_is_given_up_before_its_time() -> None:
    journeys = Journeys(Names())
    assert list(journeys.add(way(Hop.PPP_START_XMIT))) == []
    assert list(journeys.expire(99, 100)) == []
    assert len(list(journeys.expire(100, 100))) == 1
    assert len(journeys) == 0


def test_what_was_given_up_and_goes_on_is_told_again_whole() -> None:
    journeys = Journeys(Names())
    begin = event(Hop.L2TP_UDP_ENCAP_RECV, 0, packet=OUTER + b"\x00\x02\0\1\0\1" + LCP)
    list(journeys.add([begin, event(Hop.PPP_INPUT, 10)]))
    (waiting,) = journeys.expire(1000, 100)
    assert (waiting.end.verdict, waiting.again) == ("waiting_ppp", False)
    (settled,) = journeys.add([event(Hop.DROPPED, 2000, detail=(2, 2))])
    assert (settled.end.verdict, settled.again) == ("read", True)
    assert settled.number == waiting.number and len(settled.events) == 3
    assert list(journeys.add([event(Hop.CONSUMED, 3000)])) == [], "nothing is told a third time"


def test_what_is_kept_of_journeys_given_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.journeys.journey.MAX_OPEN", 3)
    journeys = Journeys(Names())
    for n in range(5):
        list(journeys.add([event(Hop.PPP_INPUT, n, skb=n, generation=1)]))
        list(journeys.expire(1 << 60))
    ends = [event(Hop.DROPPED, 9, skb=n, generation=1, detail=(2, 1)) for n in range(5)]
    assert [journey.skb for journey in journeys.add(ends)] == [2, 3, 4]


class Following:
    """Tells a list of journeys a turn; then no more may begin."""

    def __init__(self, *turns: list[Journey]) -> None:
        self.turns = list(turns)

    def poll(self, patience_ns: int | None = None) -> Iterator[Journey]:
        yield from self.turns.pop(0) if self.turns else []

    def is_spent(self) -> bool:
        return not self.turns


def test_a_packet_whose_events_are_all_lost_is_not_waited_for() -> None:
    (one,) = journeys_of(*way(Hop.PPP_START_XMIT, Hop.NETIF_RX, Hop.RECEIVED))
    turns = iter([True] * 9)
    assert list(told(Following([one], [], []), 2, lambda: next(turns))) == [one]


def test_copies_and_what_is_told_again_do_not_count() -> None:
    (one,) = journeys_of(*way(Hop.PPP_START_XMIT, Hop.NETIF_RX, Hop.RECEIVED))
    more = [one._replace(again=True), one._replace(original=(1, 2))]
    following = Following([one], more, [one], [one])
    assert list(told(following, 2, lambda: True)) == [one, *more, one]


def test_the_number_of_open_journeys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.journeys.journey.MAX_OPEN", 3)
    journeys = Journeys(Names())
    events = [event(Hop.PPP_START_XMIT, n, skb=n, generation=n) for n in range(5)]
    assert [j.skb for j in journeys.add(events)] == [0, 1]
    assert (len(journeys), journeys.forgotten) == (3, 2)


def test_json_has_times_between_hops_and_the_time_of_day() -> None:
    (journey,) = journeys_of(*way(Hop.PPP_START_XMIT, Hop.NETIF_RX, Hop.RECEIVED))
    record = as_json(journey, Names(), 1000)
    assert (record["time_ns"], record["wall_ns"], record["duration_ns"]) == (0, 1000, 20)
    assert [hop["since_ns"] for hop in record["hops"]] == [0, 10, 10]
    assert record["hops"][0]["node"] == "lac"
    assert bytes.fromhex(record["hops"][0]["octets"]) == PING


def test_a_record_of_the_program_becomes_an_event() -> None:
    packed = struct.pack(
        f"={EVENT}", 5, 0xA, 4, 2, 3, Hop.DROPPED, 84, 1, 7, b"ppp0", 1, 2, 3, 4, 2, 4, PING
    )
    read = event_of(struct.unpack(f"={EVENT}", packed))
    assert read == Event(
        5, 0xA, 4, (2, 3), Hop.DROPPED, 84, 1, 7, "ppp0", 1, 2, 3, 4, Cause.EXPIRED, PING[:4]
    )


def test_a_choice_is_laid_out_as_the_program_reads_it() -> None:
    raw = Choice(budget=3, netns=9, address=ipaddress.ip_address("10.0.0.1"), ip_protocol=0)
    assert CHOICE.unpack(raw.packed()) == (
        3, 0, 1, 1, 9, 0, 0, 4, 1, 0, bytes([10, 0, 0, 1]) + bytes(12),
    )  # fmt: skip
    assert CHOICE.unpack(Choice().packed())[0] > 1 << 60
