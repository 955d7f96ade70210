"""A topology file between YAML and rules: the items that are sound, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lab.topology.lines import Complaint, Document, FieldPath
from lab.topology.shape import (
    L2tpShape,
    LinkShape,
    LnsShape,
    NodeShape,
    PppShape,
    Shape,
    TopologyShape,
    TunnelShape,
    UserShape,
)

Checked = TypeVar("Checked", bound=Shape)


@dataclass(slots=True)
class Draft:
    """All sound items by their index in the file, and all complaints so far."""

    document: Document
    complaints: list[Complaint] = field(default_factory=list)
    top: TopologyShape | None = None
    l2tp: L2tpShape | None = None
    ppp: PppShape | None = None
    nodes: dict[int, NodeShape] = field(default_factory=dict)
    links: dict[int, LinkShape] = field(default_factory=dict)
    users: dict[int, UserShape] = field(default_factory=dict)
    lns: dict[int, LnsShape] = field(default_factory=dict)
    tunnels: dict[int, TunnelShape] = field(default_factory=dict)

    def complain(self, path: FieldPath, message: str) -> None:
        """Add a complaint about a field."""
        self.complaints.append(self.document.complain(path, message))

    def names(self, *path: str) -> list[str]:
        """Give the names in a list, of unsound items too, so that no reference is called wrong
        only because its target has another fault.
        """
        items: Any = self.document.data
        for part in path:
            items = items.get(part, {}) if isinstance(items, dict) else {}
        if not isinstance(items, list):
            return []
        return [str(item["name"]) for item in items if isinstance(item, dict) and "name" in item]


def make_draft(document: Document) -> Draft:
    """Check every item's shape."""
    draft = Draft(document, list(document.complaints))
    if document.complaints:
        return draft
    draft.top = _check(draft, TopologyShape, document.data, ())
    data = document.data if isinstance(document.data, dict) else {}
    draft.nodes = _check_all(draft, NodeShape, data.get("nodes"), ("nodes",))
    draft.links = _check_all(draft, LinkShape, data.get("links"), ("links",))
    l2tp = data.get("l2tp", {})
    draft.l2tp = _check(draft, L2tpShape, l2tp, ("l2tp",))
    inner = l2tp if isinstance(l2tp, dict) else {}
    draft.ppp = _check(draft, PppShape, inner.get("ppp", {}), ("l2tp", "ppp"))
    draft.users = _check_all(draft, UserShape, inner.get("users"), ("l2tp", "users"))
    draft.lns = _check_all(draft, LnsShape, inner.get("lns"), ("l2tp", "lns"))
    draft.tunnels = _check_all(draft, TunnelShape, inner.get("tunnels"), ("l2tp", "tunnels"))
    return draft


def _check_all(
    draft: Draft, shape: type[Checked], items: object, path: FieldPath
) -> dict[int, Checked]:
    sound: dict[int, Checked] = {}
    for index, item in enumerate(items if isinstance(items, list) else []):
        checked = _check(draft, shape, item, (*path, index))
        if checked is not None:
            sound[index] = checked
    return sound


def _check(draft: Draft, shape: type[Checked], item: object, path: FieldPath) -> Checked | None:
    try:
        return shape.model_validate(item)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            place = tuple(part for part in detail["loc"] if part != "[key]")
            draft.complain((*path, *place), _message(detail, shape, place))
        return None


# What pydantic calls an error, and how we say it; {} takes from the error's context.
MESSAGES = {
    "missing": "this field is missing; add it",
    "string_type": "write text here, in quotes if need be",
    "int_type": "write a whole number here",
    "float_type": "write a number here",
    "bool_type": "write true or false here",
    "list_type": "write a list here",
    "dict_type": "write a mapping here (key: value)",
    "model_type": "write a mapping here (key: value)",
    "model_attributes_type": "write a mapping here (key: value)",
    "greater_than_equal": "{input} is too small; the least is {ge}",
    "less_than_equal": "{input} is too large; the most is {le}",
    "too_short": "there are {actual_length}, and at least {min_length} must be",
    "too_long": "there are {actual_length}, and at most {max_length} may be",
    "string_too_short": "this must not be empty",
    "string_too_long": "this is too long; at most {max_length} characters",
    "literal_error": '"{input}" is none of {expected}',
    "value_error": "{error}",
}

PATTERNS = {
    r"^[a-z][a-z0-9-]*$": '"{input}" is no name: small letters, digits and hyphens, a letter first'
}


def _message(detail: ErrorDetails, shape: type[Shape], place: FieldPath) -> str:
    context: dict[str, Any] = {"input": detail["input"], **detail.get("ctx", {})}
    if detail["type"] == "extra_forbidden":
        return f"there is no such key{_keys(shape, place)}"
    if detail["type"] == "string_pattern_mismatch":
        default = '"{input}" has characters that are not allowed here ({pattern})'
        return PATTERNS.get(context["pattern"], default).format(**context)
    template = MESSAGES.get(detail["type"])
    return template.format(**context) if template else detail["msg"]


def _keys(shape: type[Shape], place: FieldPath) -> str:
    if len(place) != 1:
        return "; take it out, or correct its name"
    names: Sequence[str] = [info.alias or name for name, info in shape.model_fields.items()]
    return f"; the keys here are {', '.join(names)}"
