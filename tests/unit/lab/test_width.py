"""What a terminal's width does to lines, and that a file or a pipe gets them whole."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios

import pytest

from lab.doctor.capabilities import KERNEL
from lab.doctor.model import no
from lab.doctor.report import as_text
from lab.pictures.width import cut, cut_front, folded, width_of


def test_a_terminal_has_its_columns_and_a_file_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert width_of(io.StringIO()) is None
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 91, 0, 0))
    with os.fdopen(theirs, "w") as stream:
        assert width_of(stream) == 91
    os.close(ours)


def test_what_is_cut_has_a_mark() -> None:
    assert (cut("abcdef", 4), cut("abcd", 4), cut("abcdef", None)) == ("abc…", "abcd", "abcdef")
    assert (cut_front("abcdef", 4), cut_front("abcd", 4)) == ("…def", "abcd")


def test_what_is_folded_goes_on_indented() -> None:
    assert folded("one two three", 8) == ["one two", "  three"]
    assert folded("one two three", None) == ["one two three"]


def test_the_doctors_table_fits_a_terminal() -> None:
    finding = no("not in kernel 6.18.44-something-long", "boot a kernel that has " + "words " * 20)
    findings = {"this kernel": [(KERNEL[0], finding)]}
    assert max(map(len, as_text(findings, "verdict " * 20, 80))) <= 80
    assert any(len(line) > 120 for line in as_text(findings, "verdict"))
