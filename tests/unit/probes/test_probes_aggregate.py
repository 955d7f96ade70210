"""Per-CPU values to figures, and histograms to percentiles."""

import struct
import sys

import pytest

from probes.figures.aggregate import figure_rows, loss_counts, per_cpu, percentile
from probes.figures.events import FIGURE, FIGURE_KEY, FIGURE_SCALARS, LATENCY_SLOTS, Loss
from probes.figures.slots import of_stay
from probes.figures.verdicts import Verdict


def value(
    packets: tuple[int, int, int, int] = (0, 0, 0, 0),
    octets: tuple[int, int, int, int] = (0, 0, 0, 0),
    last_seen_ns: int = 0,
    latency: dict[int, int] | None = None,
) -> bytes:
    """Build one CPU's struct figure: control consumed, control passed up, data likewise."""
    slots = [(latency or {}).get(slot, 0) for slot in range(LATENCY_SLOTS)]
    ends = [0] * len(Verdict)
    ends[Verdict.DELIVERED], ends[Verdict.CONTROL] = packets[2], packets[1]
    ends[Verdict.UNKNOWN_SESSION], ends[Verdict.SENT] = packets[3], 4
    return FIGURE.pack(
        *packets, *octets, last_seen_ns, 2, 5000, 400, 900, 6, *ends, *slots, *[0] * LATENCY_SLOTS
    )


def key(netns: int = 1, tunnel: int = 7, session: int = 9, cookie: int = 1) -> bytes:
    return FIGURE_KEY.pack(cookie, netns, tunnel, session, 2)


def test_a_row_is_the_sum_of_the_cpus() -> None:
    cpus = value((0, 3, 20, 1), (0, 36, 900, 50), 77, {11: 20}) + value(
        (0, 2, 3, 0), (0, 24, 100, 0), 70, {11: 2, 12: 1}
    )
    (row,) = figure_rows([(key(), cpus)])
    assert (row["netns"], row["tunnel_id"]) == (1, 7)
    assert row["session_id"] == 9
    assert (row["control_packets"], row["control_bytes"]) == (5, 60)
    assert (row["data_packets"], row["data_bytes"]) == (24, 1050)
    assert (row["packets"], row["bytes"]) == (29, 1110)
    assert (row["consumed"], row["passed_up"]) == (23, 6)
    assert (row["data_consumed"], row["data_passed_up"]) == (23, 1)
    assert row["ppp_control_packets"] == 4
    assert row["latency_packets"] == 23
    assert row["latency_ns_log2"][11:13] == [22, 1]
    assert row["latency_ns_total"] == 10_000


def test_the_last_time_is_the_latest_and_not_the_sum() -> None:
    (row,) = figure_rows([(key(), value(last_seen_ns=77) + value(last_seen_ns=70))])
    assert row["last_seen_ns"] == 77


def waits(count: int) -> bytes:
    words = [0] * (FIGURE.size // 8)
    words[FIGURE_SCALARS + Verdict.WAITING_PPP] = count & (1 << 64) - 1
    return struct.pack(f"={len(words)}Q", *words)


@pytest.mark.parametrize(("here", "there", "waiting"), [(5, -3, 2), (-1, 3, 2), (0, -1, 0)])
def test_what_begins_to_wait_on_one_cpu_may_end_on_another(
    here: int, there: int, waiting: int
) -> None:
    (row,) = figure_rows([(key(), waits(here) + waits(there))])
    assert row["waiting"] == row["verdicts"].get("waiting_ppp", 0) == waiting


def test_of_two_namespaces_of_one_number_the_one_heard_last_comes_last() -> None:
    entries = [
        (key(cookie=5, session=1), value(last_seen_ns=900)),
        (key(cookie=8, session=0), value(last_seen_ns=100)),
        (key(cookie=5, session=0), value(last_seen_ns=10)),
        (key(netns=0, cookie=9), value(last_seen_ns=950)),
    ]
    rows = figure_rows(entries)
    assert [(r["netns"], r["netns_cookie"], r["session_id"]) for r in rows] == [
        (0, 9, 9),
        (1, 8, 0),
        (1, 5, 0),
        (1, 5, 1),
    ]


def test_losses_are_named_and_none_is_left_out() -> None:
    entries = [(struct.pack("=I", Loss.FIGURES_FULL), struct.pack("=2Q", 3, 4))]
    counts = loss_counts(entries)
    assert counts["figures_full"] == 7
    assert list(counts) == [loss.name.lower() for loss in Loss]
    assert sum(counts.values()) == 7


def test_what_lies_in_a_slot_of_an_earlier_stay_is_nobodys() -> None:
    words = FIGURE.size // 8
    cpus = []
    for number in (7, 5, 7):
        cpu = [1] * words
        cpu[FIGURE_SCALARS - 1] = number
        cpus.append(FIGURE.pack(*cpu))
    assert of_stay(b"".join(cpus), 7) == cpus[0] + bytes(FIGURE.size) + cpus[2]


def test_a_loss_that_another_cpu_has_found_is_none() -> None:
    found = struct.pack("=2Q", 1, (1 << 64) - 1)
    assert (
        loss_counts([(Loss.LATENCY_UNMATCHED.to_bytes(4, sys.byteorder), found)])[
            "latency_unmatched"
        ]
        == 0
    )


@pytest.mark.parametrize("octets", [0, 8, 17])
def test_a_value_that_is_no_whole_number_of_cpus_is_refused(octets: int) -> None:
    with pytest.raises(ValueError, match="whole number"):
        per_cpu(b"\0" * octets, 2)


@pytest.mark.parametrize(
    ("slots", "percent", "expected"),
    [
        ({}, 50, None),
        ({0: 1}, 100, 2),
        ({10: 1}, 100, 2048),
        ({10: 4}, 50, 1024 + 512),
        ({10: 1, 12: 1}, 50, 2048),
        ({10: 1, 12: 1}, 99, 4096 + int(4096 * 0.98)),
        ({10: 99, 20: 1}, 99, 2048),
        ({LATENCY_SLOTS - 1: 5}, 50, 1 << (LATENCY_SLOTS - 1)),
    ],
)
def test_percentiles(slots: dict[int, int], percent: float, expected: int | None) -> None:
    histogram = [slots.get(slot, 0) for slot in range(LATENCY_SLOTS)]
    assert percentile(histogram, percent) == expected
