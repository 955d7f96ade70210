"""How much of a line is shown: a terminal's columns; a file or a pipe takes it whole."""

from __future__ import annotations

import os
from textwrap import wrap
from typing import TextIO


def width_of(stream: TextIO) -> int | None:
    """Give a terminal's columns; None for what is no terminal and takes lines of any length."""
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def cut(line: str, width: int | None) -> str:
    """Cut a line to a width, with a mark where something is missing; None leaves it whole."""
    return line if width is None or len(line) <= width else f"{line[: width - 1]}…"


def cut_front(name: str, width: int | None) -> str:
    """Cut a name to a width at its front: names that are long differ at their ends."""
    return name if width is None or len(name) <= width else f"…{name[len(name) - width + 1 :]}"


def folded(line: str, width: int | None, indent: str = "  ") -> list[str]:
    """Break a line at words where it is wider; what follows is indented. None leaves it whole."""
    if width is None or len(line) <= width:
        return [line]
    return wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)
