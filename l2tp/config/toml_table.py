"""Typed reading of TOML tables that collects every mistake instead of stopping at the first."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from l2tp.config.field_lines import FieldLines
from l2tp.protocol.errors import L2tpError

_T = TypeVar("_T")
_MISSING: Final = object()


class ConfigurationError(L2tpError):
    """A file that cannot be used; ``problems`` has one line for each mistake in it."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class Document:
    """One TOML file, and the problems found in it."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.problems: list[str] = []
        self._text = text
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError([f"{path}: not TOML: {error}"]) from error
        self.root = Table(self, data, ())

    def problem(self, where: tuple[str | int, ...], text: str) -> None:
        """Note a mistake at the field ``where``, such as ("tunnel", 0, "peer")."""
        line = self._lines.find(where)
        place = f"{self.path}:{line}" if line else str(self.path)
        self.problems.append(f"{place}: {_dotted(where)}: {text}")

    @cached_property
    def _lines(self) -> FieldLines:
        return FieldLines(self._text)

    def finish(self) -> None:
        """Raise ConfigurationError if anything was wrong."""
        if self.problems:
            raise ConfigurationError(self.problems)


class Table:
    """One table of a document; each method reads a key once, and ``close`` reports the rest."""

    def __init__(
        self, document: Document, data: Mapping[str, Any], where: tuple[str | int, ...]
    ) -> None:
        self._document = document
        self._data = dict(data)
        self.where = where

    def problem(self, key: str, text: str) -> None:
        """Note a mistake at this table's ``key``."""
        self._document.problem((*self.where, key), text)

    def text(self, key: str, default: str | None = None) -> str:
        """Read a non-empty string; required unless there is a default."""
        return self._read(key, str, "a string", default, "", _not_empty)

    def secret(self, key: str) -> str:
        """Read a non-empty string that no message may quote."""
        value = self._data.pop(key, None)
        if isinstance(value, str) and value:
            return value
        self.problem(key, "must be a string, and not empty")
        return ""

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Read an integer from ``low`` to ``high``."""
        return self._read(key, int, "an integer", default, low, _between(low, high))

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """Read an integer or float from ``low`` to ``high``; the default stands for a wrong one."""
        placeholder = low if default is None else default
        check = _between(low, high)
        return float(self._read(key, (int, float), "a number", default, placeholder, check))

    def ascending(self, lower: str, upper: str, values: Mapping[str, float]) -> None:
        """Note where of two numbers that were read the one that is to be lower is not."""
        if values[lower] > values[upper]:
            self.problem(
                lower,
                f"{values[lower]:g} is more than {upper}, {values[upper]:g}; "
                "lower the one or raise the other",
            )

    def boolean(self, key: str, default: bool) -> bool:
        """Read true or false."""
        return self._read(key, bool, "true or false", default, default, None)

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """Read one of some words."""

        def check(value: str) -> str | None:
            return None if value in choices else f"must be one of {', '.join(choices)}"

        return self._read(key, str, "a string", default, default, check)

    def address(self, key: str, default: str | None = None, *, version: int | None = None) -> str:
        """Read a numeric IP address, of one version if given, spelt as the kernel spells it.

        Two spellings of an IPv6 address are one, and a datagram's source is compared with it.
        """
        wanted = f"an IPv{version} address" if version else "an IP address"

        def check(value: str) -> str | None:
            try:
                found = ipaddress.ip_address(value).version
            except ValueError:
                return f"{value!r} is not {wanted}"
            return f"{value!r} is not {wanted}" if version not in (None, found) else None

        value = self._read(key, str, "a string", default, "", check)
        return str(ipaddress.ip_address(value)) if value else value

    def network(self, key: str, default: str | None = None) -> str:
        """Read an IPv4 network such as 10.64.0.0/24."""
        return self._read(key, str, "a string", default, "", _not_network)

    def texts(self, key: str, check: Callable[[str], str | None]) -> tuple[str, ...]:
        """Read a list of strings, each checked; missing means none."""
        values = self._read(key, list, "a list of strings", [], [], None)
        for value in values:
            if not isinstance(value, str):
                self.problem(key, f"{value!r} is not a string")
            elif wrong := check(value):
                self.problem(key, wrong)
        return tuple(value for value in values if isinstance(value, str))

    def prefixes(self, key: str) -> tuple[str, ...]:
        """Read a list of network prefixes without host bits."""
        return self.texts(key, prefix_problem)

    def interfaces(self, key: str) -> tuple[str, ...]:
        """Read a list of addresses with prefix lengths, such as 2001:db8::1/128."""
        return self.texts(key, interface_problem)

    def table(self, key: str) -> Table:
        """Read a table; missing means empty."""
        data = self._read(key, dict, "a table", {}, {}, None)
        return Table(self._document, data, (*self.where, key))

    def tables(self, key: str) -> list[Table]:
        """Read an array of tables; missing means none."""
        entries = self._read(key, list, "an array of tables", [], [], None)
        result: list[Table] = []
        for index, entry in enumerate(entries):
            if isinstance(entry, dict):
                result.append(Table(self._document, entry, (*self.where, key, index)))
            else:
                self.problem(key, "must be an array of tables")
        return result

    def one_or_more(self, key: str) -> list[Table]:
        """Read a table, or an array of them; missing means none."""
        if isinstance(self._data.get(key), dict):
            return [self.table(key)]
        return self.tables(key)

    def names(self) -> tuple[str, ...]:
        """Return the keys not read yet, for tables whose keys are names."""
        return tuple(self._data)

    def close(self) -> None:
        """Report the keys that nobody asked for."""
        for key in self._data:
            self.problem(key, "is not a setting of this table; see docs/configuration.md")

    def _read(
        self,
        key: str,
        kind: type[_T] | tuple[type, ...],
        wanted: str,
        default: _T | None,
        placeholder: _T,
        check: Callable[[Any], str | None] | None,
    ) -> _T:
        value = self._data.pop(key, _MISSING)
        if value is _MISSING:
            if default is None:
                self.problem(key, f"is missing; it must be {wanted}")
                return placeholder
            return default
        # TOML's true is a Python int too.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            # What stands where a table of secrets belongs may be one.
            found = "a single value" if kind is dict else repr(value)
            self.problem(key, f"must be {wanted}, not {found}")
            return placeholder
        if check is not None and (wrong := check(value)):
            self.problem(key, wrong)
            return placeholder
        return cast(_T, value)


def _not_empty(value: str) -> str | None:
    return None if value else "must not be empty"


def _between(low: float, high: float) -> Callable[[float], str | None]:
    return lambda value: None if low <= value <= high else f"{value} is not from {low} to {high}"


def _not_network(value: str) -> str | None:
    try:
        ipaddress.IPv4Network(value)
    except ValueError as error:
        return f"is not an IPv4 network: {error}"
    return None


def prefix_problem(value: str) -> str | None:
    """Say what is wrong with a prefix such as "203.0.113.0/24"; None when nothing is."""
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        return f"not a prefix: {error}"
    return None


def interface_problem(value: str) -> str | None:
    """Say what is wrong with an address and prefix length; None when nothing is."""
    try:
        ipaddress.ip_interface(value)
    except ValueError as error:
        return f"not an address with a prefix length: {error}"
    return None


def _dotted(where: tuple[str | int, ...]) -> str:
    text = ""
    for part in where:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text
