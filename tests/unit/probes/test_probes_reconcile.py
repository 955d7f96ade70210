"""Figures beside the driver's counters: what agrees, what is older, what does not add up."""

from typing import Any

import pytest

from probes.figures.aggregate import figure_row
from probes.figures.driver import Owner
from probes.figures.events import FIGURE, FIGURE_KEY, LATENCY_SLOTS
from probes.figures.reconcile import Reading, Reconciler, Seen, expected, read_until_agreed
from probes.figures.snapshot import FigureRow
from probes.figures.verdicts import Verdict

SESSION, TUNNEL = Owner(5, 7, 9), Owner(5, 7, 0)
QUIET = {"rx_packets": 10, "tx_packets": 4, "tx_bytes": 400, "tx_errors": 0}


def row(verdicts: dict[Verdict, int], session_id: int = 9, **changes: Any) -> FigureRow:
    ends = [verdicts.get(verdict, 0) for verdict in Verdict]
    data = sum(n for v, n in verdicts.items() if v.meaning.direction == "rx")
    made = figure_row(
        FIGURE_KEY.pack(5, 1, 7, session_id, 2),
        FIGURE.pack(0, 0, data, 0, 0, 0, data * 100, 0, 1, 0, 0, 400, 0, 5, *ends,
                    *[0] * (2 * LATENCY_SLOTS)),
    )  # fmt: skip
    return {**made, "registered_ns": 1, **changes}  # type: ignore[typeddict-item]


def counters(**changes: int) -> dict[str, int]:
    return {**QUIET, "rx_bytes": 1000, "rx_errors": 0, "rx_seq_discards": 0, **changes}


TEN = {Verdict.DELIVERED: 10, Verdict.SENT: 4}


def test_verdicts_say_what_the_driver_should_have_counted() -> None:
    seen = expected(
        row({Verdict.DELIVERED: 5, Verdict.EXPIRED: 2, Verdict.WAITING_REORDER: 1,
             Verdict.LOST_FROM_SIGHT: 3, Verdict.SOCKET_FULL: 1})
    )  # fmt: skip
    assert seen["rx_packets"] == Seen(6, 9)
    assert seen["rx_errors"] == Seen(3, 3)
    assert seen["rx_seq_discards"] == Seen(2, 2)
    assert "rx_bytes" not in seen, "of what was dropped the driver counts no octets"


@pytest.mark.parametrize(
    ("before", "after", "agree"),
    [
        (10, 10, True),
        (9, 9, False),
        (11, 11, False),
        (8, 12, True),
        (11, 12, True),  # it moves: some may be in work that the driver has counted already
        (13, 14, False),
        (8, 9, False),  # the driver cannot be behind
    ],
)
def test_figures_lie_between_two_readings(before: int, after: int, agree: bool) -> None:
    readings = [{SESSION: counters(rx_packets=count)} for count in (before, after)]
    assert Reconciler(2).judge([row(TEN)], *readings) == agree


def test_a_session_and_its_tunnel_agree() -> None:
    rows = [row({}, 0), row(TEN)]
    has = {SESSION: counters(), TUNNEL: counters()}
    assert Reconciler(2).judge(rows, has, has)
    assert [one["driver"] and one["driver"]["agrees"] for one in rows] == [True, True]


def test_a_difference_is_named() -> None:
    rows = [row(TEN)]
    has = {SESSION: counters(rx_packets=12)}
    assert not Reconciler(2).judge(rows, has, has)
    assert rows[0]["driver"] is not None
    assert rows[0]["driver"]["differs"] == {"rx_packets": {"probes": 10, "driver": 12}}


def test_what_is_older_is_learned_once_and_must_stay() -> None:
    reconciler = Reconciler(2)
    old = row(TEN, registered_ns=None)
    has = {SESSION: counters(rx_packets=1010, rx_bytes=50_000)}
    assert reconciler.judge([old], has, has)
    assert old["driver"] is not None
    assert old["driver"]["older"] == {"rx_packets": 1000, "rx_bytes": 49_000}
    for missed, told in ((2, False), (3, True)):  # of two CPUs' work nobody can tell
        more = {SESSION: counters(rx_packets=1010 + missed, rx_bytes=50_000)}
        assert reconciler.judge([old], more, more) != told


def test_what_is_older_is_known_better_with_each_reading() -> None:
    reconciler = Reconciler(2)
    old = row(TEN, registered_ns=None)
    for before, after in ((500, 900), (700, 1100)):
        readings = [{SESSION: counters(rx_packets=count)} for count in (before, after)]
        assert reconciler.judge([old], *readings)
    assert old["driver"] is not None
    assert old["driver"]["older"]["rx_packets"] == 890
    late = {SESSION: counters(rx_packets=903)}
    assert not reconciler.judge([old], late, late)


def test_a_session_that_had_no_packet_yet_may_be_older() -> None:
    reconciler = Reconciler(2)
    earlier = {SESSION: counters(rx_packets=1000, rx_bytes=9)}
    assert reconciler.judge([], earlier, earlier)
    old = row({**TEN, Verdict.SENT: 9}, registered_ns=None)
    has = {SESSION: counters(rx_packets=1010, rx_bytes=1009, tx_bytes=800)}
    assert not reconciler.judge([old], has, has), "the driver had sent four before, and no more"
    assert old["driver"] is not None
    assert set(old["driver"]["differs"]) == {"tx_packets"}


def test_ended_sessions_have_no_counters_and_still_are_their_tunnels() -> None:
    rows = [row({}, 0), row(TEN), row(TEN, 11, ended_ns=5)]
    has = {SESSION: counters(), TUNNEL: counters(rx_packets=20, tx_packets=8, tx_bytes=800)}
    assert Reconciler(2).judge(rows, has, has)
    assert rows[2]["driver"] is None


def test_sessions_of_an_earlier_tunnel_with_these_ids_are_not_this_ones() -> None:
    rows = [row({}, 0, registered_ns=100), row(TEN), row(TEN, 11, ended_ns=99)]
    has = {SESSION: counters(), TUNNEL: counters()}
    assert Reconciler(2).judge(rows, has, has)


def test_ids_that_were_given_twice_leave_their_tunnel_more_than_the_rows_show() -> None:
    rows = [row({}, 0), row(TEN, uses=2)]
    more = {SESSION: counters(), TUNNEL: counters(rx_packets=99)}
    assert Reconciler(2).judge(rows, more, more)
    fewer = {SESSION: counters(), TUNNEL: counters(rx_packets=9)}
    assert not Reconciler(2).judge(rows, fewer, fewer)


def test_what_is_older_than_the_probes_has_ended_when_the_driver_has_it_no_longer() -> None:
    reconciler = Reconciler(1)
    had = {SESSION: counters(), TUNNEL: counters()}
    old = {"registered_ns": None}
    reconciler.judge([], had, had)
    for now_ns in (70, 80):
        rows = [row(TEN, **old), row({}, session_id=0, **old), row(TEN, session_id=8, **old)]
        reconciler.judge(rows, {}, {}, now_ns)
        assert [one["ended_ns"] for one in rows] == [70, 70, None], "8 the driver never had"
    seen = [row(TEN, uses=1)]
    reconciler.judge(seen, {}, {}, 85)
    assert seen[0]["ended_ns"] is None, "of what begins before their eyes the probes see the end"
    still = [row(TEN, **old)]
    reconciler.judge(still, had, had, 90)
    assert still[0]["ended_ns"] is None


def test_a_namespace_that_shows_between_two_looks_is_asked_too() -> None:
    first, second = row(TEN), row(TEN, netns=2, netns_cookie=6)
    looks = iter([[first], [first, second], [first, second]])
    has = {1: {SESSION: counters()}, 2: {Owner(6, 7, 9): counters()}}

    def read(inodes: set[int]) -> dict[Owner, dict[str, int]]:
        return {owner: found for inode in inodes for owner, found in has[inode].items()}

    found, trouble = read_until_agreed(Reconciler(2), lambda: Reading(next(looks), {}, {}), read)
    assert trouble == ""
    assert [one["driver"] and one["driver"]["agrees"] for one in found.rows] == [True, True]
