"""Results, their exit codes and their four written forms."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.results import Observation, Outcome, Result, exit_code
from lab.results.writers import MOST_SHOWN, WIDTH, WRITERS, text

GOLDEN = Path(__file__).parents[2] / "golden" / "results"

PASSED = Result.of(
    "ping-through",
    "Do IPv4 and IPv6 reach the host behind the LNS, through the tunnel alone?",
    [
        Observation("alice: 5 IPv4 pings are answered", True, "5 of 5, 0.4 ms on average"),
        Observation("no inner packet crossed core outside the tunnel", True, "0 packets"),
    ],
    duration_s=1.2345,
)
FAILED = Result.of(
    "counters",
    "Do the kernel's counters agree with each other?",
    [
        Observation("session rx packets = interface rx packets + control", True, "12 = 10 + 2"),
        Observation("nothing is dropped", False, "rx_errors = 3 & <more> \x1b[31m" + "long " * 30),
    ],
    duration_s=0.5,
)
NOT_RUN = Result.broken_off(
    "offload#1",
    "Does GSO pass?",
    [],
    outcome=Outcome.CANNOT_RUN,
    reason="this box has no iperf3; install it:\napt install iperf3",
    duration_s=0.01,
)
LOST = Result.broken_off(
    "path-mtu",
    "Do large packets pass?",
    [Observation("1458 bytes pass", True, "3 of 3")],
    outcome=Outcome.LOST,
    reason="the appliance went away",
    duration_s=9.0,
)
ALL = [PASSED, FAILED, NOT_RUN, LOST]


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([PASSED], 0),
        ([PASSED, FAILED], 1),
        ([PASSED, NOT_RUN], 4),
        ([FAILED, NOT_RUN], 1),
        ([PASSED, FAILED, NOT_RUN, LOST], 3),
        ([], 4),
    ],
)
def test_the_exit_code_is_the_worst_outcome(results: list[Result], code: int) -> None:
    assert exit_code(results) == code


def test_a_check_that_asserts_nothing_has_failed() -> None:
    assert Result.of("idle", "?", [], duration_s=0).outcome is Outcome.FAIL


def test_what_was_seen_to_be_wrong_stays_wrong_when_the_rest_could_not_run() -> None:
    wrong = [Observation("a", False, "b")]
    result = Result.broken_off(
        "half", "?", wrong, outcome=Outcome.CANNOT_RUN, reason="no tcpdump", duration_s=0
    )
    assert result.outcome is Outcome.FAIL


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_written_forms_are_golden(form: str) -> None:
    golden = GOLDEN / f"all.{form}"
    written = WRITERS[form](ALL)
    if os.environ.get("L2TP_LAB_GOLDEN") == "write":
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")


def test_of_many_observations_all_that_do_not_hold_are_shown_and_some_that_do() -> None:
    seen = [Observation(f"number {n}", n != 70, "so") for n in range(100)]
    lines = text([Result.of("many", "?", seen, duration_s=0)])
    assert "✗ number 70" in lines
    shown = lines.count("number ")
    assert shown <= MOST_SHOWN
    assert f"… and {100 - shown} more that hold" in lines


def test_text_is_below_80_columns_and_has_an_ascii_form() -> None:
    assert max(map(len, text(ALL).splitlines())) <= WIDTH
    assert text(ALL, ascii_only=True).isascii()


def test_json_and_xml_are_readable_by_others() -> None:
    assert json.loads(WRITERS["json"](ALL))["counts"]["lost"] == 1
    suite = ElementTree.fromstring(WRITERS["junit"](ALL)).find("testsuite")
    assert suite is not None
    assert [len(suite.findall(f"testcase/{e}")) for e in ("failure", "error", "skipped")] == [1] * 3


def test_ktap_has_one_line_a_check_and_right_totals() -> None:
    lines = WRITERS["ktap"](ALL).splitlines()
    assert lines[:2] == ["KTAP version 1", "1..4"]
    assert [line for line in lines if not line.startswith("#")][2:] == [
        "ok 1 ping-through",
        "not ok 2 counters",
        "ok 3 offload_1 # SKIP this box has no iperf3; install it: apt install iperf3",
        "not ok 4 path-mtu",
    ]
    assert lines[-1] == "# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:1"
