"""Numbers of a command line that are refused, with what is allowed."""

import argparse

import pytest

from probes.limits import seconds, whole


@pytest.mark.parametrize("text", ["0", "-1", "4294967296", "1.5", "x", "", "9" * 5000, "²"])
def test_what_is_no_id_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="from 1 to 4294967295"):
        whole(1)(text)


def test_both_ends_are_allowed() -> None:
    assert [whole(0)("0"), whole(0)("4294967295")] == [0, 0xFFFF_FFFF]


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "x"])
def test_no_time_to_wait_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="above 0"):
        seconds(text)


def test_parts_of_a_second_are_a_time() -> None:
    assert seconds("0.05") == 0.05
