"""Journeys against what was sent, what the kernel dropped, and what IP and PPP count."""

import os
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from probes.errors import CannotRunHereError
from probes.hooks import modules
from probes.hooks.spec import Style
from probes.journeys.events import Choice
from probes.journeys.spec import JOURNEYS
from probes.journeys.tracer import JourneyTracer
from tests.kernel import probe_support as support

pytestmark = pytest.mark.kernel

# What a ping passes between two ends on one wire (IPv4), in this order.
WAY = [
    "ppp_start_xmit", "pppol2tp_xmit", "l2tp_xmit_skb", "ip_queue_xmit", "net_dev_queue",
    "net_dev_start_xmit", "netif_receive_skb", "l2tp_udp_encap_recv", "l2tp_recv_common",
    "pppol2tp_recv", "ppp_input", "netif_rx", "received",
]  # fmt: skip
# An IP packet of 84 octets: + PPP 4 - its address and control come with the driver -, L2TP, UDP.
ECHO = 84
FRAME, PPP_IN, L2TP, UDP, IP, ETHERNET = ECHO + 2, ECHO + 4, 6, 8, 20, 14


class Follower:
    """A tracer of journeys in this process, and the journeys that it has told of."""

    def __init__(self, choice: Choice, style: Style = Style.FENTRY, **options: Any) -> None:
        modules.load_driver()
        self.tracer = JourneyTracer(choice, {}, styles=[style], **options)

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, *_: object) -> None:
        self.tracer.close()

    def told(self, *, give_up: bool = True) -> list[dict[str, Any]]:
        return [self.tracer.as_json(j) for j in self.tracer.poll(0 if give_up else None)]

    def lost(self) -> dict[str, int]:
        losses: dict[str, int] = self.tracer.status()["losses"]
        return losses


@pytest.fixture(scope="module", params=support.STYLES)
def style(request: pytest.FixtureRequest) -> Style:
    chosen: Style = request.param
    if chosen is Style.FENTRY:
        try:
            Follower(Choice(budget=0), chosen).tracer.close()
        except CannotRunHereError as error:
            pytest.skip(error.message)
    return chosen


@pytest.fixture
def pair() -> Iterator[Any]:
    with support.tunnel_pair(f"way{os.getpid()}", (7, 9), (17, 19)) as pair:
        yield pair


def attach_units(pair: Any) -> None:
    pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
    pair.right.sessions[0].attach_unit("10.64.0.2/32", "10.64.0.1")


def ping(pair: Any, count: int) -> None:
    pair.left.namespace.run("ping", "-q", "-c", str(count), "-i", "0.02", "-W", "10", "10.64.0.2")


def names(journey: dict[str, Any]) -> list[str]:
    return [hop["hop"] for hop in journey["hops"]]


def hop_of(journey: dict[str, Any], name: str) -> dict[str, Any]:
    hop: dict[str, Any] = next(hop for hop in journey["hops"] if hop["hop"] == name)
    return hop


def test_pings_are_that_many_whole_journeys(style: Style, pair: Any) -> None:
    attach_units(pair)
    with Follower(Choice(), style) as follower:
        missing = [h["name"] for h in follower.tracer.status()["hooks"] if not h["attached"]]
        assert missing == []
        ping(pair, 7)
        pair.settle()
        journeys = follower.told()
        assert set(follower.lost().values()) == {0}
    assert len(journeys) == 14  # there and back
    there = [j for j in journeys if j["packet"]["source"] == "10.64.0.1"]
    assert len(there) == 7
    for journey in journeys:
        assert names(journey) == WAY
        assert journey["end"]["verdict"] == "delivered"
        assert journey["packet"]["protocol"] == "icmp"
        times = [hop["time_ns"] for hop in journey["hops"]]
        assert times == sorted(times) and times[0] < times[-1]
    for journey in there:
        lengths = [hop["length"] for hop in journey["hops"]]
        outer = PPP_IN + L2TP + UDP + IP
        assert lengths[0] == ECHO
        assert hop_of(journey, "l2tp_xmit_skb")["length"] == PPP_IN
        assert hop_of(journey, "ip_queue_xmit")["length"] == PPP_IN + L2TP + UDP
        assert hop_of(journey, "net_dev_start_xmit")["length"] == outer + ETHERNET
        assert hop_of(journey, "netif_receive_skb")["length"] == outer
        assert hop_of(journey, "l2tp_udp_encap_recv")["length"] == PPP_IN + L2TP + UDP
        assert hop_of(journey, "pppol2tp_recv")["length"] == PPP_IN
        assert lengths[-1] == hop_of(journey, "netif_rx")["length"] == ECHO
        left, right = pair.left.namespace.inum, pair.right.namespace.inum
        assert hop_of(journey, "ppp_start_xmit")["netns"] == left
        assert hop_of(journey, "netif_rx")["netns"] == right
        sender, receiver = hop_of(journey, "l2tp_xmit_skb"), hop_of(journey, "l2tp_recv_common")
        assert (sender["tunnel_id"], sender["session_id"]) == (7, 9)
        assert (sender["peer_tunnel_id"], sender["peer_session_id"]) == (17, 19)
        assert (receiver["tunnel_id"], receiver["session_id"]) == (17, 19)


@pytest.mark.long
def test_a_header_outside_the_linear_buffer_is_no_guess(pair: Any) -> None:
    attach_units(pair)
    arriving = {"outgoing": False, "incoming": True}
    with Follower(Choice(session_id=19, **arriving)) as follower:
        support.send_out_of_line(pair, 4711)
        support.send_out_of_line(pair, 19)
        pair.settle()
        (journey,) = follower.told()
        assert set(follower.lost().values()) == {0}
    first = journey["hops"][0]
    assert (first["hop"], first["session_id"]) == ("l2tp_udp_encap_recv", 19)
    assert journey["end"]["verdict"] == "delivered"
    # Told in order, though the driver had to pull the header together before it could be read.
    assert names(journey)[:3] == ["l2tp_udp_encap_recv", "l2tp_recv_common", "pppol2tp_recv"]
    with Follower(Choice(**arriving)) as follower:
        support.send_out_of_line(pair, 4711)
        pair.settle()
        (journey,) = follower.told()
        assert (journey["hops"][0]["session_id"], names(journey)[1]) == (4711, "passed_up")
        assert journey["end"]["verdict"] == "unknown_session"
    with Follower(Choice(ip_protocol=17, **arriving)) as follower:
        support.send_out_of_line(pair, 19)
        pair.left.send_data(19, support.PPP_IP + support.ip_packet())
        pair.settle()
        (journey,) = follower.told()
        assert names(journey)[0] == "l2tp_udp_encap_recv"
        assert follower.lost()["inner_unread"] == 1


def test_a_drop_gives_its_cause(pair: Any) -> None:
    attach_units(pair)
    pair.right.sessions[0].option(support.SO_RECVSEQ, 1)
    frame = support.PPP_IP + support.ip_packet()
    with Follower(Choice(outgoing=False, incoming=True)) as follower:
        pair.left.send_data(19, frame)
        for ns in (0, 2):
            pair.left.send_data(19, frame, ns)
        pair.left.send_data(4711, frame)
        # Numbered, with an offset beyond its end.
        header = struct.pack("!6H", 0x0A02, pair.right.tunnel_id, 19, 1, 0, 500)
        pair.left.udp.send(header + frame)
        pair.settle()
        journeys = follower.told()
    verdicts = [journey["end"]["verdict"] for journey in journeys]
    assert sorted(verdicts) == [
        "bad_offset", "delivered", "out_of_sequence", "sequence_required", "unknown_session",
    ]  # fmt: skip
    dropped = next(j for j in journeys if j["end"]["verdict"] == "out_of_sequence")
    # The latter where the compiler made a jump of the former's last call.
    assert dropped["end"]["function"] in ("l2tp_recv_common", "l2tp_udp_encap_recv")
    assert dropped["end"]["netns"] == pair.right.namespace.inum
    assert pair.right.sessions[0].stats()["rx_seq_discards"] == 2


@pytest.mark.long
def test_a_drop_outside_the_driver_has_the_kernels_own_reason(pair: Any) -> None:
    attach_units(pair)
    ping(pair, 1)  # so that the neighbour is known, and nothing waits for that
    command = ("tc", "qdisc", "add", "dev", "wire", "root", "netem", "loss", "100%")
    pair.left.namespace.run(*command)
    with Follower(Choice()) as follower:
        pair.left.namespace.run("sh", "-c", "ping -q -c 1 -W 0.2 10.64.0.2 || true")
        journeys = follower.told()
    assert [j["end"]["outcome"] for j in journeys] == ["dropped"], journeys
    assert journeys[0]["end"]["reason"] == "QDISC_DROP"
    assert names(journeys[0])[-2:] == ["net_dev_queue", "dropped"]


@pytest.mark.long
def test_a_duplicate_of_netem_is_a_copy_with_its_own_end(style: Style, pair: Any) -> None:
    attach_units(pair)
    pair.left.namespace.run(
        *("tc", "qdisc", "add", "dev", "wire", "root", "netem", "duplicate", "100%")
    )
    with Follower(Choice(netns=pair.left.namespace.inum), style) as follower:
        pair.left.namespace.run("ping", "-q", "-c", "3", "-i", "0.02", "10.64.0.2")
        pair.settle_right()
        journeys = follower.told()
    originals = [j for j in journeys if not j["copy_of"]]
    copies = [j for j in journeys if j["copy_of"]]
    assert len(originals) == len(copies) == 3
    assert {j["copy_of"] for j in copies} == {j["journey"] for j in originals}
    assert {j["end"]["verdict"] for j in journeys} == {"delivered"}
    for copy in copies:
        assert names(copy)[0] == "cloned"
        assert names(copy)[-2:] == ["netif_rx", "received"]
    session = pair.right.sessions[0]
    assert pair.right.namespace.interface(session.interface, "rx_packets") == 6


@pytest.mark.long
def test_an_address_that_is_used_again_is_another_journey(pair: Any) -> None:
    attach_units(pair)
    with Follower(Choice(netns=pair.left.namespace.inum)) as follower:
        for _ in range(3):
            ping(pair, 20)
        pair.settle()
        journeys = follower.told()
    assert len(journeys) == 60
    assert len({journey["journey"] for journey in journeys}) == 60
    addresses = {journey["journey"].partition("-")[0] for journey in journeys}
    assert len(addresses) < 60, "no address was used twice: this test shows nothing"
    assert all(names(journey) == WAY for journey in journeys)


@pytest.mark.long
def test_an_end_that_is_not_seen_ends_with_the_next_packet_at_that_address(pair: Any) -> None:
    attach_units(pair)
    blind = JOURNEYS._replace(
        hooks=tuple(
            hook._replace(function="no_such_event") if hook.name in ("kfree_skb", "consume_skb")
            else hook
            for hook in JOURNEYS.hooks
        )
    )  # fmt: skip
    pair.right.sessions[0].option(support.SO_RECVSEQ, 1)
    with Follower(Choice(), program=blind) as follower:
        pair.left.namespace.run("sh", "-c", "ping -q -c 20 -i 0.01 -W 0.1 10.64.0.2 || true")
        # The copy that asks for the neighbour's address is freed unseen as well.
        journeys = [journey for journey in follower.told() if not journey["copy_of"]]
        missing = [h for h in follower.tracer.status()["hooks"] if not h["attached"]]
    assert [hook["name"] for hook in missing] == ["kfree_skb", "consume_skb"]
    assert all(hook["hides"] and hook["reason"] for hook in missing)
    assert len(journeys) == 20, [(names(j), j["end"]["says"]) for j in journeys]
    assert {journey["end"]["verdict"] for journey in journeys} == {"lost_from_sight"}
    for journey in journeys:
        assert names(journey) == WAY[: WAY.index("l2tp_recv_common") + 1]


@pytest.mark.long
def test_a_journey_over_ipv6(style: Style) -> None:
    with support.tunnel_pair(f"six{os.getpid()}", family=6) as pair:
        attach_units(pair)
        with Follower(Choice(netns=pair.left.namespace.inum), style) as follower:
            ping(pair, 3)
            pair.settle()
            journeys = follower.told()
    assert len(journeys) == 3
    for journey in journeys:
        assert names(journey) == [h.replace("ip_queue_xmit", "inet6_csk_xmit") for h in WAY]
        assert hop_of(journey, "netif_receive_skb")["length"] == PPP_IN + L2TP + UDP + 40
        assert journey["end"]["verdict"] == "delivered"


@pytest.mark.long
@pytest.mark.parametrize(
    "choice, journeys",
    [
        (Choice(tunnel_id=7), 12),
        (Choice(tunnel_id=17, session_id=9), 12),
        (Choice(tunnel_id=7, session_id=4711), 0),
        (Choice(ip_protocol=1), 12),
        (Choice(ip_protocol=6), 0),
        (Choice(one_in=4), 3),
        (Choice(budget=5), 5),
    ],
)
def test_only_what_was_chosen_is_followed(pair: Any, choice: Choice, journeys: int) -> None:
    attach_units(pair)
    with Follower(choice) as follower:
        ping(pair, 6)
        pair.settle()
        assert len(follower.told()) == journeys


@pytest.mark.long
def test_pppds_frames_have_journeys_up_to_their_queue(pair: Any) -> None:
    attach_units(pair)
    with Follower(Choice(ppp_protocol=0xC021)) as follower:
        pair.left.sessions[0].send_ppp(support.PPP_LCP + b"\x09\x01\x00\x08\0\0\0\0")
        ping(pair, 1)
        pair.settle()
        waiting = follower.told()
    assert [(j["packet"]["protocol"], j["end"]["verdict"]) for j in waiting] == [
        ("lcp", "waiting_ppp")
    ]


@pytest.mark.long
def test_a_bridged_frame_keeps_its_journey(style: Style, pair: Any) -> None:
    with pair.second_tunnel() as (back, middle):
        pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
        back.sessions[0].attach_unit("10.64.9.1/32", "10.64.9.2")
        pair.right.sessions[0].bridge_to(middle.sessions[0])
        with Follower(Choice(ip_protocol=1), style) as follower:
            pair.left.namespace.run("sh", "-c", "ping -q -c 1 -W 0.2 10.64.0.2 || true")
            pair.settle()
            (journey,) = follower.told()
    there, arrival = WAY[: WAY.index("netif_rx")], ["netif_rx", "received"]
    assert names(journey) == [*there, *there[1:], *arrival]
    assert journey["end"]["verdict"] == "delivered"
    sessions = [
        (hop["hop"], hop["tunnel_id"], hop["session_id"])
        for hop in journey["hops"]
        if hop["hop"] in ("l2tp_xmit_skb", "l2tp_recv_common")
    ]
    assert sessions == [
        ("l2tp_xmit_skb", 7, 9), ("l2tp_recv_common", 17, 19),
        ("l2tp_xmit_skb", 18, 20), ("l2tp_recv_common", 8, 10),
    ]  # fmt: skip


@pytest.mark.long
def test_a_flood_loses_events_and_says_how_many(pair: Any) -> None:
    attach_units(pair)
    room = 16384
    with Follower(Choice(netns=pair.left.namespace.inum), ring_octets=room) as follower:
        ping(pair, 40)
        pair.settle()
        journeys = follower.told()
        lost = follower.lost()["no_room_for_event"]
    told = sum(len(journey["hops"]) for journey in journeys)
    assert told <= room // 288
    assert lost > 0
    # Whatever began has 13 events; those told and those lost are all of them.
    assert told + lost >= 40 * len(WAY) - len(WAY)
    assert told + lost <= 40 * len(WAY)


@pytest.mark.long
def test_nothing_is_left_behind(pair: Any) -> None:
    began = time.monotonic_ns()
    with Follower(Choice()) as follower:
        assert follower.tracer.status()["time_ns"] > began
        assert follower.told() == []
    with pytest.raises(ValueError, match="closed"):
        follower.tracer.status()
