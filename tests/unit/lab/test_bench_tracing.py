"""Figures of what tracing costs, from what was measured."""

import pytest

from lab.bench.tracing import counted_figures, figures_of, interval, overheads, remarks_of

FOUND = {
    "cpus": 2,
    "pairs": {
        "off_ns": {"full size": [100.0, 200.0, 100.0], "64 bytes": [100.0, 100.0, 100.0]},
        "on_ns": {"full size": [102.0, 210.0, 101.0], "64 bytes": [110.0, 120.0, 109.0]},
        "journeys_ns": {"full size": [130.0] * 3, "64 bytes": [140.0] * 3},
        "started_s": [2.0, 3.0, 2.5],
        "memory_mb": [80.0, 81.0, 80.0],
    },
    "programs_ns": {
        "fentry": {"full size": 400.0, "64 bytes": 300.0},
        "kprobe": {"full size": 900.0, "64 bytes": 800.0},
        "bpftrace": {"why_not": "no BTF"},
    },
    "flood": {
        "seconds": 2.0, "driver_sent": 20_000, "driver_received": 20_000, "probes_sent": 20_000,
        "probes_received": 19_999, "reconciled": False, "lost_events": 1,
    },
    "journeys": {
        "seconds": 2.0, "one_in": 50, "driver_sent": 10_000, "eligible": 10_000, "told": 200,
        "lost_events": 7,
    },
}  # fmt: skip


def test_each_pair_is_compared_with_itself() -> None:
    assert overheads([100.0, 200.0], [102.0, 210.0]) == pytest.approx((2.0, 5.0))


def test_the_interval_is_the_middle_half() -> None:
    assert interval([5.0, 1.0, 3.0, 2.0, 4.0]) == (2.0, 4.0)
    assert interval([7.0]) == (7.0, 7.0)


def test_goals_that_are_missed_are_no_secret() -> None:
    by_name = {figure.name: figure for figure in figures_of(FOUND)}
    assert not by_name["of these, not in the figures to the packet"].is_met
    assert by_name["the highest rate, all CPUs sending 64 bytes"].value == 10.0
    assert by_name["tracer, start to first figures, warm"].is_met


def test_the_goals_are_for_instructions_through_the_lab() -> None:
    costs = {
        "off": {"full size": [30_000.0], "64 bytes": [20_000.0]},
        "empty": {"full size": [30_300.0], "64 bytes": [20_400.0]},
        "on": {"full size": [30_600.0], "64 bytes": [22_000.0]},
    }
    figures = list(counted_figures({"through": costs, "alone": costs}))
    assert [figure.value for figure in figures[:6]] == pytest.approx([30, 1, 2, 20, 2, 10])
    assert [figure.goal for figure in figures] == [None, None, 3, None, None, 8] + [None] * 6
    assert [figure.is_met for figure in figures[:6]] == [True, True, True, True, True, False]


def test_what_was_not_measured_is_said() -> None:
    remarks = "\n".join(remarks_of(FOUND))
    assert "bpftrace was not measured: no BTF" in remarks
    assert "DOES NOT AGREE" in remarks
    assert "200 told, 7 events known to be lost" in remarks
