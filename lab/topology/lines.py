"""Reads YAML together with the line of every field, so that an error can say where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

_PLAIN = re.compile(r"[A-Za-z0-9_.@-]+")

FieldPath = tuple[str | int, ...]
"""Where a field is, such as ``("links", 1, "ends", 0)``."""


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """One thing wrong in a topology: line, field, and what to do about it."""

    line: int
    field: str
    message: str

    def text(self, file: str) -> str:
        """Write it the way compilers do, for editors that jump to the place."""
        where = f"{self.field}: " if self.field else ""
        message = "".join(c if c.isprintable() else "?" for c in self.message)
        return f"{file}:{self.line}: {where}{message}"


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data from YAML, the line of each field, and what was wrong with the YAML itself."""

    data: Any
    lines: Mapping[FieldPath, int]
    complaints: tuple[Complaint, ...]

    def complain(self, path: FieldPath, message: str) -> Complaint:
        """Make a complaint about a field; a field that is missing has its parent's line."""
        known = path
        while known not in self.lines and known:
            known = known[:-1]
        return Complaint(self.lines.get(known, 1), field_name(path), message)


def field_name(path: FieldPath) -> str:
    """Write a path the way one would in Python: ``links[1].ends[0]``."""
    return "".join(_subscript(part) for part in path).removeprefix(".")


def _subscript(part: str | int) -> str:
    if isinstance(part, str) and _PLAIN.fullmatch(part):
        return f".{part}"
    return f"[{json.dumps(part)}]"


def read_document(text: str) -> Document:
    """Parse YAML; when it does not parse, the data is None and a complaint says why."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        return Document(None, {}, (_unreadable(error),))
    lines: dict[FieldPath, int] = {(): 1}
    repeated: list[Complaint] = []
    if root is not None:
        _walk(root, (), lines, repeated)
    if repeated:
        return Document(None, lines, tuple(repeated))
    try:
        return Document(YAML(typ="safe", pure=True).load(text), lines, ())
    except YAMLError as error:
        return Document(None, lines, (_unreadable(error),))


def _unreadable(error: YAMLError) -> Complaint:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        column = error.problem_mark.column + 1
        problem = f"{error.problem} (column {column})"
        return Complaint(error.problem_mark.line + 1, "", f"this is not YAML: {problem}")
    return Complaint(1, "", f"this is not YAML: {error}")


def _walk(
    node: Node, path: FieldPath, lines: dict[FieldPath, int], repeated: list[Complaint]
) -> None:
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inner = (*path, str(key.value))
            line = key.start_mark.line + 1
            if key.value in seen:
                message = f"this key is there already, in line {lines[inner]}; keep one of them"
                repeated.append(Complaint(line, field_name(inner), message))
            seen.add(key.value)
            lines[inner] = line
            _walk(value, inner, lines, repeated)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*path, index)
            lines[inner] = value.start_mark.line + 1
            _walk(value, inner, lines, repeated)
