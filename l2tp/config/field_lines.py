"""Which line of a TOML file each field stands on."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
"""A field by its tables' names and places in arrays, such as ("tunnel", 0, "peer")."""


class FieldLines:
    """The lines of a document's tables and fields, however they are written.

    ``text`` is TOML as a whole. Reading it statement by statement leaves every question of quotes,
    dots and braces to the TOML reader.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        table: Path = ()
        for number, is_header, data in _statements(text):
            if is_header:
                table = self._enter(data)
                self._note(table, number)
                self._lines[table] = number  # where only its sub-tables were until now
            else:
                for path in _paths(data):
                    self._note((*table, *path), number)

    def find(self, where: Path) -> int | None:
        """Return the line of a field, else of the innermost table around it that is written."""
        while where:
            if where in self._lines:
                return self._lines[where]
            where = where[:-1]
        return None

    def _enter(self, header: dict[str, Any]) -> Path:
        """Turn what a header alone reads as into its path, counting arrays as they come."""
        path: Path = ()
        inside: Any = header
        while inside:
            ((name, inside),) = inside.items()
            path = (*path, name)
            if isinstance(inside, list):
                inside = inside[0]
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _note(self, path: Path, number: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], number)


def _statements(text: str) -> Iterator[tuple[int, bool, dict[str, Any]]]:
    """Yield each statement's first line, whether it is a table's header, and what it says."""
    begins, statement = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        begins = begins if statement else number
        statement += f"{line}\n"
        # Several lines make one statement only inside of brackets and of triple quotes.
        if begins != number and not any(end in line for end in ("]", "}", '"""', "'''")):
            continue
        try:
            data = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if data:
            yield begins, statement.lstrip().startswith("["), data
        statement = ""


def _paths(value: object) -> Iterator[Path]:
    """Yield the paths of all that an assignment sets."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inside in items:
        yield (key,)
        yield from ((key, *path) for path in _paths(inside))
