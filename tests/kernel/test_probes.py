"""What the probes count, against what was sent and what the driver and PPP count themselves."""

import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from probes.errors import CannotRunHereError
from probes.figures.tracer import Tracer
from probes.hooks import libbpf, loader, modules
from probes.hooks.spec import FIGURES, Program, Style
from tests.kernel import probe_support as support

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module", params=support.STYLES)
def tracer(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    modules.load_driver()
    try:
        tracer = Tracer(styles=[request.param])
    except CannotRunHereError as error:
        if request.param is Style.KPROBE:  # which must work everywhere
            raise
        pytest.skip(error.message)
    yield tracer
    tracer.close()


@pytest.fixture
def pair() -> Iterator[Any]:
    with support.tunnel_pair(f"probes{os.getpid()}") as pair:
        yield pair


def attach_units(pair: Any) -> None:
    pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
    pair.right.sessions[0].attach_unit("10.64.0.2/32", "10.64.0.1")


@pytest.mark.long
def test_every_hook_is_attached(tracer: Tracer) -> None:
    assert [hook["name"] for hook in tracer.hooks() if not hook["attached"]] == []


def test_counts_exactly_what_was_sent_and_agrees_with_driver_and_ppp(
    tracer: Tracer, pair: Any
) -> None:
    attach_units(pair)
    left, right = pair.ends
    losses_before = tracer.snapshot()["losses"]
    left.namespace.run("ping", "-q", "-c", "23", "-i", "0.02", "-W", "10", "10.64.0.2")
    for _ in range(5):
        left.send_zlb()
    for _ in range(4):
        left.sessions[0].send_ppp(support.PPP_LCP + b"\x09\x01\x00\x08\0\0\0\0")
    pair.settle()

    snapshot = tracer.snapshot()
    assert snapshot["losses"] == losses_before
    for end, zlbs, lcp in ((left, 0, 0), (right, 5, 4)):
        session = end.sessions[0]
        data = support.row_of(snapshot, end, session.session_id)
        assert data["data_packets"] == 23 + lcp
        assert data["consumed"] == 23 + lcp
        assert data["passed_up"] == 0
        assert data["control_packets"] == 0
        assert data["ppp_control_packets"] == lcp
        stats = session.stats()
        assert stats["rx_packets"] == data["data_packets"]
        assert stats["rx_bytes"] == data["data_bytes"]
        assert stats["rx_errors"] == 0
        interface = end.namespace.interface(session.interface, "rx_packets")
        assert stats["rx_packets"] == interface + lcp
        assert data["latency_packets"] == interface
        assert data["latency_ns_total"] > 0
        control = support.row_of(snapshot, end, 0)
        assert control["control_packets"] == zlbs + 1  # and the one that settle sent
        assert control["control_bytes"] == 12 * zlbs + support.SETTLE_OCTETS
        assert control["passed_up"] == control["packets"] == zlbs + 1
        assert control["data_packets"] == 0


def test_the_same_ids_in_two_namespaces_are_kept_apart(tracer: Tracer, pair: Any) -> None:
    frame = support.PPP_IP + support.ip_packet()
    for _ in range(3):
        pair.left.send_data(9, frame)
    for _ in range(8):
        pair.right.send_data(9, frame)
    pair.settle()
    snapshot = tracer.snapshot()
    assert support.row_of(snapshot, pair.right, 9)["data_packets"] == 3
    assert support.row_of(snapshot, pair.left, 9)["data_packets"] == 8


@pytest.mark.long
def test_data_for_an_unknown_session_is_passed_up(tracer: Tracer, pair: Any) -> None:
    length = pair.left.send_data(4711, support.PPP_IP + support.ip_packet())
    pair.settle()
    row = support.row_of(tracer.snapshot(), pair.right, 4711)
    assert row["data_passed_up"] == row["passed_up"] == row["packets"] == 1
    assert row["consumed"] == 0
    assert row["data_bytes"] == length


@pytest.mark.long
def test_a_header_with_a_length_field_has_its_ids_two_octets_later(
    tracer: Tracer, pair: Any
) -> None:
    message = support.data_message(pair.right.tunnel_id, 300, b"\x00\x21\0\0\0\0")
    with_length = b"\x40\x02" + (len(message) + 2).to_bytes(2, "big") + message[2:]
    pair.left.udp.send(with_length)
    pair.settle()
    assert support.row_of(tracer.snapshot(), pair.right, 300)["data_packets"] == 1


@pytest.mark.long
@pytest.mark.parametrize("octets", [0, 1, 2, 5])
def test_a_header_that_is_cut_short_counts_without_ids(
    tracer: Tracer, pair: Any, octets: int
) -> None:
    before = tracer.snapshot()
    pair.left.udp.send(b"\x00\x02\x00\x07\x00\x09"[:octets])
    pair.settle()
    snapshot = tracer.snapshot()
    known = [row["netns_cookie"] for row in before["figures"]]
    short = [
        row
        for row in snapshot["figures"]
        if row["tunnel_id"] == 0 and row["netns_cookie"] not in known
    ]
    assert [r["netns"] for r in short] == [pair.right.namespace.inum]
    assert [(r["session_id"], r["version"], r["packets"], r["bytes"]) for r in short] == [
        (0, 0, 1, octets)
    ]
    assert snapshot["losses"] == before["losses"]


@pytest.mark.long
def test_programs_for_functions_need_no_second_look_at_all_types(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []

    def noted(*words: Any) -> int | None:
        found.append(libbpf.load_traced(*words))
        return found[-1]

    monkeypatch.setattr(loader, "load_traced", noted)
    try:
        Tracer(styles=[Style.FENTRY]).close()
    except CannotRunHereError as error:
        pytest.skip(error.message)
    assert len(found) == 6 and None not in found


@pytest.mark.long
def test_a_header_outside_the_linear_buffer_is_read(tracer: Tracer, pair: Any) -> None:
    attach_units(pair)
    before = tracer.snapshot()
    length = support.send_out_of_line(pair, 9)
    support.send_out_of_line(pair, 4711)
    pair.settle()
    snapshot = tracer.snapshot()
    assert snapshot["losses"] == before["losses"]
    row = support.row_of(snapshot, pair.right, 9)
    assert (row["data_packets"], row["consumed"], row["data_bytes"]) == (1, 1, length)
    assert support.row_of(snapshot, pair.right, 4711)["data_passed_up"] == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("ppp", "is_for_pppd"),
    [
        pytest.param(support.PPP_LCP, True, id="lcp"),
        pytest.param(b"\x80\xfb", True, id="ccp of a link"),
        pytest.param(support.PPP_IP, False, id="ip"),
    ],
)
def test_frames_for_pppd_are_told_apart_whatever_the_header(
    tracer: Tracer, pair: Any, ppp: bytes, is_for_pppd: bool
) -> None:
    attach_units(pair)
    ids = struct.pack("!2H", pair.right.tunnel_id, 9)
    payload = ppp + support.ip_packet()
    for message in (
        b"\x00\x02" + ids + b"\xff\x03" + payload,
        b"\x00\x02" + ids + payload,  # address and control left out
        b"\x08\x02" + ids + bytes(4) + b"\xff\x03" + payload,  # Ns and Nr
        b"\x02\x02" + ids + b"\x00\x03" + bytes(3) + b"\xff\x03" + payload,  # offset
    ):
        pair.left.udp.send(message)
    pair.settle()
    snapshot = tracer.snapshot()
    row = support.row_of(snapshot, pair.right, 9)
    assert (row["data_packets"], row["data_consumed"]) == (4, 4)
    assert row["ppp_control_packets"] == (4 if is_for_pppd else 0)


@pytest.mark.long
def test_a_protocol_that_the_driver_did_not_pull_together_is_counted_as_unread(
    tracer: Tracer, pair: Any
) -> None:
    attach_units(pair)
    before = tracer.snapshot()["losses"]["protocol_unread"]
    ids = struct.pack("!2H", pair.right.tunnel_id, 9)
    frame = b"\xff\x03" + support.PPP_LCP + bytes(100)
    pair.left.udp.setsockopt(socket.SOL_SOCKET, support.SO_ZEROCOPY, 1)
    with_all = b"\x48\x02" + struct.pack("!H", 12 + len(frame)) + ids + bytes(4)  # L and S
    pair.left.udp.send(with_all + frame, support.MSG_ZEROCOPY)
    pair.settle()
    snapshot = tracer.snapshot()
    row = support.row_of(snapshot, pair.right, 9)
    assert (row["data_consumed"], row["ppp_control_packets"]) == (1, 0)
    assert snapshot["losses"]["protocol_unread"] == before + 1


@pytest.mark.long
def test_a_frame_that_waits_for_an_earlier_one_is_timed_from_its_arrival(
    tracer: Tracer, pair: Any
) -> None:
    attach_units(pair)
    before = tracer.snapshot()
    session = pair.right.sessions[0]
    session.option(support.SO_REORDERTO, 30_000)
    frame = support.PPP_IP + support.ip_packet()
    for ns in (0, 2, 3, 1):
        pair.left.send_data(9, frame, ns)
    pair.settle()
    snapshot = tracer.snapshot()
    assert snapshot["lost_events"] == before["lost_events"]
    row = support.row_of(snapshot, pair.right, 9)
    assert row["data_packets"] == row["latency_packets"] == 4
    assert pair.right.namespace.interface(session.interface, "rx_packets") == 4


@pytest.mark.long
def test_a_frame_that_goes_nowhere_is_consumed_without_latency(tracer: Tracer, pair: Any) -> None:
    attach_units(pair)
    pair.right.sessions[0].option(support.SO_RECVSEQ, 1)
    pair.left.send_data(9, support.PPP_IP + support.ip_packet())
    pair.settle()
    row = support.row_of(tracer.snapshot(), pair.right, 9)
    assert (row["consumed"], row["latency_packets"]) == (1, 0)
    assert pair.right.sessions[0].stats()["rx_errors"] == 1


@pytest.mark.long
def test_more_sessions_than_the_table_holds_are_counted_as_lost(pair: Any) -> None:
    tracer = Tracer(max_figures=3)
    try:
        for session_id in range(100, 110):
            pair.left.send_data(session_id, support.PPP_IP + support.ip_packet())
        pair.settle()
        snapshot = tracer.snapshot()
    finally:
        tracer.close()
    assert len(snapshot["figures"]) == 3
    # Ten sessions and two control connections, of which three have room.
    assert snapshot["losses"]["figures_full"] == 12 - 3
    assert snapshot["lost_events"] == 9


@pytest.mark.long
def test_thousands_of_sessions_fit(pair: Any) -> None:
    tracer = Tracer()
    try:
        for session_id in range(1000, 5000):
            pair.left.send_data(session_id, support.PPP_IP + support.ip_packet())
            if session_id % 100 == 0:
                pair.settle()  # what the socket is passed and nobody reads would be dropped
        pair.settle()
        snapshot = tracer.snapshot()
    finally:
        tracer.close()
    rows = [row for row in snapshot["figures"] if 1000 <= row["session_id"] < 5000]
    assert len(rows) == 4000
    assert {row["data_passed_up"] for row in rows} == {1}
    assert (snapshot["lost_events"], snapshot["evicted_figures"]) == (0, 0)


def without(*names: str) -> Program:
    """Give the program with hooks that the kernel does not have in place of these."""
    return FIGURES._replace(
        hooks=tuple(
            hook._replace(function="no_such_function") if hook.name in names else hook
            for hook in FIGURES.hooks
        ),
    )


@pytest.mark.long
def test_a_hook_that_is_missing_says_what_it_hides(pair: Any) -> None:
    tracer = Tracer(without("pppol2tp_recv", "netif_rx"))
    try:
        attach_units(pair)
        support.send_out_of_line(pair, 9)
        pair.left.send_data(9, support.PPP_IP + support.ip_packet())
        pair.settle()
        snapshot = tracer.snapshot()
    finally:
        tracer.close()
    missing = [hook for hook in snapshot["hooks"] if not hook["attached"]]
    assert [hook["name"] for hook in missing] == ["pppol2tp_recv", "netif_rx"]
    for hook in missing:
        assert hook["how"] is None
        assert hook["hides"]
        assert "kprobe: " in hook["reason"]
    assert support.row_of(snapshot, pair.right, 9)["latency_packets"] == 0
    # The frame that was sent out of line had only its UDP header in the linear buffer.
    assert snapshot["losses"]["header_unread"] == 1
    assert support.row_of(snapshot, pair.right, 9)["data_packets"] == 1


@pytest.mark.long
def test_without_its_main_hook_there_is_no_tracer() -> None:
    with pytest.raises(CannotRunHereError, match="no hook") as caught:
        Tracer(without(*(hook.name for hook in FIGURES.hooks)))
    assert "features" in caught.value.cure


@pytest.mark.long
@pytest.mark.parametrize("style", list(Style), ids=lambda style: style.value)
def test_one_packet_in_so_many_is_counted(pair: Any, style: Style) -> None:
    tracer = Tracer(one_in=5, styles=[style])
    try:
        attach_units(pair)
        pair.left.namespace.run("ping", "-q", "-c", "50", "-i", "0.02", "-W", "10", "10.64.0.2")
        snapshot = tracer.snapshot()
    finally:
        tracer.close()
    # Each CPU counts for itself: of what passed it, one in five.
    slack = len(os.sched_getaffinity(0))
    for end in pair.ends:
        row = support.row_of(snapshot, end, 9)
        assert 20 - 2 * slack <= row["data_packets"] + row["tx_packets"] <= 20 + 2 * slack
        assert row["verdicts"] == {"delivered": row["data_packets"], "sent": row["tx_packets"]}
    assert snapshot["lost_events"] == 0, snapshot["losses"]
    assert (snapshot["one_in"], snapshot["not_reconciled"]) == (
        5,
        "only one packet in 5 is counted",
    )
