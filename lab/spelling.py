"""What the user types and reads: commands that reach their lab, files by their own names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

DEFAULT_LAB = "lab"

#: Where a command was forwarded to: the place that --place named, if it did.
PLACE_ASKED_FOR = "L2TP_LAB_PLACE"

#: And what the user called the files of which a forwarded command has copies: JSON, by the copies.
FILES_AS_TYPED = "L2TP_LAB_FILES"


def command(words: str, lab: str) -> str:
    """Spell a command of the lab ``lab``, for the box on which the user typed the last one."""
    options = []
    if lab != DEFAULT_LAB:
        options += ["--lab", lab]
    if place := os.environ.get(PLACE_ASKED_FOR):
        options += ["--place", place]
    return " ".join(["l2tp-lab", words, *options])


def files_as_typed(names: Mapping[str, str]) -> dict[str, str]:
    """Tell a forwarded command what the user calls the files that it has copies of."""
    return {FILES_AS_TYPED: json.dumps(names)} if names else {}


def as_typed(text: str) -> str:
    """Put the user's own names for those of copies."""
    for copy, typed in json.loads(os.environ.get(FILES_AS_TYPED) or "{}").items():
        text = text.replace(copy, typed)
    return text


def nearest(word: str, known: Sequence[str]) -> str:
    """Ask whether one of the known words was meant; nothing where none is near."""
    from difflib import get_close_matches  # late: hardly ever needed

    found = get_close_matches(word, known, 1)
    return f". Did you mean {found[0]}?" if found else ""
