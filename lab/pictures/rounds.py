"""What is shown again and again: in its place on a terminal, one after the other in a file."""

from __future__ import annotations

import os
from typing import TextIO

from lab.pictures.width import folded


class Rounds:
    """Writes rounds to a stream; ``shown`` counts them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._height = 0
        self.shown = 0

    def add(self, text: str) -> None:
        """Show a round of several lines: over the one before where the terminal holds it.

        What is wider than a terminal is broken there, at words."""
        columns, rows = self._terminal()
        if columns:
            lines = (folded(line, columns) for line in text.split("\n"))
            text = "\n".join(part for line in lines for part in line)
        if self._height and columns:
            self._stream.write(f"\x1b[{self._height}F\x1b[J")
        elif self.shown:
            self._stream.write("\n")
        height = len(text.split("\n")) if columns else 0
        # What has left the screen at its top cannot be drawn over.
        self._height = height if height < rows else 0
        self.add_line(text)

    def add_line(self, text: str) -> None:
        """Show a round that is never drawn over."""
        self._stream.write(text + "\n")
        self._stream.flush()
        self.shown += 1

    def _terminal(self) -> tuple[int, int]:
        """Give columns and rows; zeros where it is no terminal, or a dumb one."""
        if not self._stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            return 0, 0
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return 0, 0
        return (columns, rows) if columns and rows else (0, 0)
