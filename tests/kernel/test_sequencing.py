"""What the sequence options do: on the wire, in the statistics, and at the tracepoints."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Iterable

import pytest

from l2tp.kernel.ppp import Channel
from l2tp.kernel.pppox import PppoxSession
from l2tp.kernel.uapi import SOL_PPPOL2TP, SocketOption
from tests.kernel.daemon_support import until
from tests.kernel.pppox_support import Wire, in_private_netns, lcp_echo
from tests.kernel.probe_support import data_message
from tests.kernel.watching import Sent, capture, l2tp_tracepoints

pytestmark = pytest.mark.kernel

LEFT, RIGHT = 1701, 1702
LONG_MS = 30_000
SHORT_MS = 20


def set_option(session: PppoxSession, option: SocketOption, value: int) -> None:
    session._socket.setsockopt(SOL_PPPOL2TP, option, value)


def frames(channel: Channel) -> list[int]:
    numbers = []
    while (frame := channel.receive()) is not None:
        numbers.append(frame[3])
    return numbers


class Numbered:
    """A near session that gets exactly the Ns that a test sends, each as a frame of that number."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.channel = wire.channel(wire.near)

    def send(self, numbers: Iterable[int | None]) -> list[int]:
        """Send them, None for a frame without a number, and return the frames that came out."""
        for ns in numbers:
            frame = lcp_echo(ns if ns is not None else 255)
            self.wire.right_udp.send(data_message(10, 1, frame, ns))
        return frames(self.channel)

    def counts(self) -> tuple[int, int, int, int]:
        """Packets received, discarded for their numbers, out of order, and errors."""
        stats = self.wire.near.stats()
        return stats.rx_packets, stats.rx_seq_discards, stats.rx_oos_packets, stats.rx_errors


def test_numbers_appear_and_vanish_with_sendseq():
    def test():
        with Wire() as wire, capture() as wires, l2tp_tracepoints() as trace:
            near = wire.channel(wire.near)
            near.send(lcp_echo(1))
            assert wires.sent() == [Sent(LEFT, None)]
            plain = wire.near.stats().tx_bytes
            set_option(wire.near, SocketOption.SENDSEQ, 1)
            for number in (2, 3):
                near.send(lcp_echo(number))
            assert wires.sent() == [Sent(LEFT, 0), Sent(LEFT, 1)]
            assert wire.near.stats().tx_bytes == plain + 2 * (plain + 4)  # Ns and Nr
            assert "session_seqnum_update" in trace.events()
            set_option(wire.near, SocketOption.SENDSEQ, 0)
            near.send(lcp_echo(4))
            assert wires.sent() == [Sent(LEFT, None)]

    in_private_netns(test)


@pytest.mark.rfc2661("3.1-offset")
def test_length_offset_and_priority_of_data_are_taken():
    ids = b"\x00\x0a\x00\x01"
    frame = b"\xff\x03" + lcp_echo(7)
    length = (14 + 6 + len(frame)).to_bytes(2, "big")
    headers = {
        "plain": b"\x00\x02" + ids,
        "P": b"\x01\x02" + ids,
        "L": b"\x40\x02" + (8 + len(frame)).to_bytes(2, "big") + ids,
        "O without padding": b"\x02\x02" + ids + bytes(2),
        "O with padding": b"\x02\x02" + ids + b"\x00\x03" + b"abc",
        "all": b"\x4b\x02" + length + ids + bytes(4) + b"\x00\x06" + bytes(6),
    }

    def test():
        with Wire() as wire:
            near = Numbered(wire)
            for header in headers.values():
                wire.right_udp.send(header + frame)
            assert frames(near.channel) == [7] * len(headers)
            assert near.counts() == (len(headers), 0, 0, 0)

    in_private_netns(test)


@pytest.mark.rfc2661("3.1-data-nr")
def test_nr_in_a_data_message_means_nothing():
    def test():
        with Wire(receive_sequence=True, send_sequence=True) as wire, capture() as wires:
            near = Numbered(wire)
            for ns, nr in enumerate((0, 7, 0xFFFF, 0x8000, 3)):
                wire.right_udp.send(data_message(10, 1, lcp_echo(ns), ns, nr))
            assert frames(near.channel) == [0, 1, 2, 3, 4]
            assert near.counts() == (5, 0, 0, 0)
            # It acknowledges nothing either: what we send goes on from 0, and nothing is repeated.
            wires.sent()
            near.channel.send(lcp_echo(9))
            assert wires.sent() == [Sent(LEFT, 0)]

    in_private_netns(test)


@pytest.mark.rfc2661("5.4-follow")
def test_an_lns_switches_its_lac_on_the_fly():
    def test():
        with Wire() as wire, capture() as wires, l2tp_tracepoints() as trace:
            lac, lns = wire.near, wire.far
            set_option(lns, SocketOption.LNSMODE, 1)
            at_lac, at_lns = wire.channel(lac), wire.channel(lns)
            for send_sequence, event in (
                (1, "session_seqnum_lns_enable"),
                (0, "session_seqnum_lns_disable"),
            ):
                set_option(lns, SocketOption.SENDSEQ, send_sequence)
                at_lns.send(lcp_echo(1))
                assert lac.option(SocketOption.SENDSEQ) == send_sequence
                at_lac.send(lcp_echo(2))
                assert [bool(sent.ns is not None) for sent in wires.sent()] == [send_sequence] * 2
                assert event in trace.events()
            assert frames(at_lac) == [1, 1]
            assert frames(at_lns) == [2, 2]

    in_private_netns(test)


def test_a_lac_does_not_switch_its_lns():
    def test():
        with Wire(lns_mode=True) as wire:
            got = Numbered(wire).send([0, 1])
            assert got == [0, 1]
            assert wire.near.option(SocketOption.SENDSEQ) == 0

    in_private_netns(test)


def test_recvseq_drops_what_has_no_number():
    def test():
        with Wire(receive_sequence=True) as wire:
            near = Numbered(wire)
            assert near.send([0, None, 1]) == [0, 1]
            assert near.counts() == (2, 1, 0, 1)
            assert wire.left.stats().rx_seq_discards == 0  # tunnels do not count them

    in_private_netns(test)


def test_an_lns_that_numbers_drops_what_has_no_number_even_without_recvseq():
    def test():
        with Wire(lns_mode=True, send_sequence=True) as wire:
            near = Numbered(wire)
            assert near.send([0, None, 1]) == [0, 1]
            assert near.counts() == (2, 1, 0, 1)

    in_private_netns(test)


def test_a_gap_costs_five_frames_more_where_nothing_is_reordered():
    """Frames ahead of a gap are dropped; the sixth in a row becomes the new beginning."""

    def test():
        with Wire() as wire, l2tp_tracepoints() as trace:
            near = Numbered(wire)
            assert near.send([0, 1, 3, 4, 5, 6, 7, 8, 9]) == [0, 1, 8, 9]
            assert near.counts() == (4, 5, 0, 5)
            assert trace.events().count("session_pkt_oos") == 5
            # Once for the first frame of all, whose number is taken as it is, and once now.
            assert trace.events().count("session_seqnum_reset") == 2

    in_private_netns(test)


def test_a_late_frame_fills_the_gap_and_those_before_it_are_lost():
    def test():
        with Wire() as wire:
            near = Numbered(wire)
            assert near.send([1, 2, 4, 3, 5, 6, 7, 8, 9, 10]) == [1, 2, 3, 9, 10]
            assert near.counts() == (5, 5, 0, 5)

    in_private_netns(test)


def test_frames_ahead_of_a_gap_that_are_not_in_a_row_never_resynchronise():
    def test():
        with Wire() as wire:
            near = Numbered(wire)
            assert near.send([0, *range(2, 40, 2)]) == [0]
            assert near.counts() == (1, 19, 0, 19)
            assert near.send([1]) == [1]

    in_private_netns(test)


def test_a_number_that_has_passed_is_outside_the_window():
    def test():
        with Wire() as wire, l2tp_tracepoints() as trace:
            near = Numbered(wire)
            assert near.send([0, 1, 2, 1]) == [0, 1, 2]
            assert near.counts() == (3, 0, 0, 1)
            assert trace.events().count("session_pkt_outside_rx_window") == 1

    in_private_netns(test)


@pytest.mark.parametrize(("first", "is_taken"), [(32766, True), (32767, False), (40000, False)])
def test_a_session_begins_with_any_number_inside_the_window(first, is_taken):
    """Which is counted from 0 (l2tp_core.c: l2tp_seq_check_rx_window)."""

    def test():
        with Wire() as wire, l2tp_tracepoints() as trace:
            near = Numbered(wire)
            wire.right_udp.send(data_message(10, 1, lcp_echo(1), first))
            assert frames(near.channel) == ([1] if is_taken else [])
            assert near.counts() == ((1, 0, 0, 0) if is_taken else (0, 0, 0, 1))
            refused = trace.events().count("session_pkt_outside_rx_window")
            assert refused == (0 if is_taken else 1)

    in_private_netns(test)


def test_a_negative_reorder_timeout_drops_every_number():
    """It is kept in jiffies, cut to an int, which is the past: frames are late from the start."""

    def test():
        with Wire(reorder_timeout_ms=LONG_MS) as wire, l2tp_tracepoints() as trace:
            set_option(wire.near, SocketOption.REORDERTO, -1)
            near = Numbered(wire)
            assert near.send([0, 1, 2]) == []
            assert near.counts() == (0, 3, 0, 3)
            assert trace.events().count("session_pkt_expired") == 3

    in_private_netns(test)


def test_with_a_reorder_timeout_frames_wait_for_the_late_one():
    def test():
        with Wire(reorder_timeout_ms=LONG_MS) as wire:
            near = Numbered(wire)
            assert near.send([0, 2, 3]) == [0]
            assert near.send([1]) == [1, 2, 3]
            assert near.counts() == (4, 0, 1, 0)  # one was queued before another

    in_private_netns(test)


def test_a_frame_that_waited_too_long_is_dropped_and_not_delivered():
    """And only when the next one comes: nothing wakes the driver before."""

    def test():
        with Wire(reorder_timeout_ms=SHORT_MS) as wire, l2tp_tracepoints() as trace:
            near = Numbered(wire)
            assert near.send([0, 2]) == [0]
            select.select([], [], [], 5 * SHORT_MS / 1000)  # the driver's own clock
            assert near.counts() == (1, 0, 0, 0)
            assert near.send([3]) == [3]
            assert near.counts() == (2, 1, 0, 1)
            assert trace.events().count("session_pkt_expired") == 1

    in_private_netns(test)


def test_what_still_waits_at_the_end_of_a_session_goes_with_it():
    def test():
        with Wire(reorder_timeout_ms=LONG_MS) as wire:
            near = Numbered(wire)
            assert near.send([0, 2, 3]) == [0]
            assert wire.near.stats().rx_errors == 0
            wire.left.close_session(1)
            assert near.channel.receive() == b""  # the channel has ended, and gives nothing more

    in_private_netns(test)


GAP = 5
COUNT = 30


def over_a_reordering_path(wire: Wire) -> list[int]:
    """Send numbered frames over a path that lets every fifth overtake, and see what comes out."""
    near, far = wire.channel(wire.near), wire.channel(wire.far)
    near.send(lcp_echo(0))  # on its own: a session begins with the first number that it gets
    options = ["delay", "200ms", "reorder", "100%", "gap", str(GAP)]
    subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", *options], check=True)
    for number in range(1, COUNT):
        near.send(lcp_echo(number))
    got: list[int] = []

    def all_seen() -> bool:
        got.extend(frames(far))
        stats = wire.far.stats()
        return stats.rx_packets + stats.rx_errors >= COUNT

    until(all_seen, "every frame delivered or dropped")
    return got + frames(far)


def test_a_reordered_stream_comes_out_in_order_with_a_reorder_timeout():
    def test():
        with Wire(send_sequence=True, lns_mode=True, reorder_timeout_ms=LONG_MS) as wire:
            assert over_a_reordering_path(wire) == list(range(COUNT))
            stats = wire.far.stats()
            assert stats.rx_oos_packets > 0
            assert (stats.rx_seq_discards, stats.rx_errors) == (0, 0)

    in_private_netns(test)


def test_a_reordered_stream_loses_frames_without_one_and_stays_in_order():
    def test():
        with Wire(send_sequence=True, lns_mode=True) as wire:
            got = over_a_reordering_path(wire)
            assert got == sorted(got)
            stats = wire.far.stats()
            assert stats.rx_errors == COUNT - len(got) > 0
            assert stats.rx_seq_discards > 0

    in_private_netns(test)
