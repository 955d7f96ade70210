"""Rounds on a terminal are drawn over each other, elsewhere they follow each other."""

from __future__ import annotations

import fcntl
import io
import os
import select
import struct
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from lab.pictures.rounds import Rounds


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TextIO, int]]:
    """Give a terminal of 20 columns and 5 rows, and where what is written to it is read."""
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 5, 20, 0, 0))
    with os.fdopen(theirs, "w") as stream:
        yield stream, ours
    os.close(ours)


def told(ours: int, last: str) -> str:
    """Read what came to a terminal, which hands it over in parts, up to the last line."""
    text = ""
    while not text.endswith(f"{last}\r\n"):
        assert select.select([ours], [], [], 60.0)[0], f"nothing comes after {text!r}"
        text += os.read(ours, 1000).decode()
    return text


def test_a_file_gets_one_after_the_other() -> None:
    stream = io.StringIO()
    rounds = Rounds(stream)
    rounds.add("a\nb")
    rounds.add("c")
    assert stream.getvalue() == "a\nb\n\nc\n"
    assert rounds.shown == 2


def test_a_terminal_shows_the_last_one_in_its_place(terminal: tuple[TextIO, int]) -> None:
    stream, ours = terminal
    rounds = Rounds(stream)
    rounds.add(f"a\n{'b' * 18} c")  # as wide as the terminal
    rounds.add(f"a\n{'b' * 18} cd")
    rounds.add("c")
    wide = f"a\r\n{'b' * 18} c\r\n"
    broken = f"a\r\n{'b' * 18}\r\n  cd\r\n"
    assert told(ours, "\x1b[Jc") == f"{wide}\x1b[2F\x1b[J{broken}\x1b[3F\x1b[Jc\r\n"


def test_what_is_higher_than_the_terminal_is_not_drawn_over(terminal: tuple[TextIO, int]) -> None:
    stream, ours = terminal
    rounds = Rounds(stream)
    rounds.add("1\n2\n3\n4\n5")
    rounds.add("c")
    assert "\x1b" not in told(ours, "c")


def test_a_dumb_terminal_is_like_a_file(
    terminal: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream, ours = terminal
    rounds = Rounds(stream)
    rounds.add("a")
    rounds.add("b")
    assert told(ours, "b") == "a\r\n\r\nb\r\n"
