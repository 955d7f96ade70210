"""A grid of characters with lines that join where they meet, and an ASCII form of it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

NORTH, SOUTH, WEST, EAST = 1, 2, 4, 8

# A character for each set of directions, light and double lines.
LIGHT = " │││─┘┐┤─└┌├─┴┬┼"
DOUBLE = " ║║║═╝╗╣═╚╔╠═╩╦╬"

_ASCII = {
    **dict.fromkeys("│", "|"),
    **dict.fromkeys("─", "-"),
    **dict.fromkeys("┘┐┤└┌├┴┬┼", "+"),
    **dict.fromkeys("║╥", "#"),
    **dict.fromkeys("═", "="),
    **dict.fromkeys("╝╗╣╚╔╠╩╦╬╡╞", "#"),
    "↔": "-",
    "±": "~",
    "→": ">",
    "·": ".",
    "…": "~",
}


def to_ascii(text: str) -> str:
    """Replace every character that a plain terminal may lack."""
    return "".join(c if c.isascii() else _ASCII.get(c, "?") for c in text)


class Canvas:
    """Lines and text by column (x) and line (y); it grows as needed."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, int], tuple[int, bool]] = {}
        self._text: dict[tuple[int, int], str] = {}

    def line(self, points: Iterable[tuple[int, int]], *, double: bool = False) -> None:
        """Draw along points, each straight above, below or beside the one before."""
        path = list(points)
        for (x, y), (to_x, to_y) in pairwise(path):
            while (x, y) != (to_x, to_y):
                step_x = (to_x > x) - (to_x < x)
                step_y = (to_y > y) - (to_y < y)
                self._join(x, y, _direction(step_x, step_y), double)
                x, y = x + step_x, y + step_y
                self._join(x, y, _direction(-step_x, -step_y), double)

    def _join(self, x: int, y: int, direction: int, double: bool) -> None:
        mask, was_double = self._lines.get((x, y), (0, False))
        self._lines[x, y] = (mask | direction, double or was_double)

    def text(self, x: int, y: int, words: str) -> None:
        """Write over whatever is there."""
        for offset, character in enumerate(words):
            self._text[x + offset, y] = character

    def is_free(self, x: int, first: int, last: int) -> bool:
        """Tell whether a column is empty between two lines, both included."""
        return not any(
            (x, y) in self._lines or self._text.get((x, y), " ") != " "
            for y in range(first, last + 1)
        )

    def lines(self) -> list[str]:
        """Give the drawing, line by line, without spaces at the ends."""
        places = {*self._lines, *self._text}
        height = max((y for _, y in places), default=-1) + 1
        width = max((x for x, _ in places), default=-1) + 1
        return [
            "".join(self._character(x, y) for x in range(width)).rstrip() for y in range(height)
        ]

    def _character(self, x: int, y: int) -> str:
        if (x, y) in self._text:
            return self._text[x, y]
        mask, double = self._lines.get((x, y), (0, False))
        return (DOUBLE if double else LIGHT)[mask]


def _direction(step_x: int, step_y: int) -> int:
    return {(0, -1): NORTH, (0, 1): SOUTH, (-1, 0): WEST, (1, 0): EAST}[step_x, step_y]
