"""Commands for the user to type, such that they reach the lab that the words are about."""

from __future__ import annotations

import os

DEFAULT_LAB = "lab"

#: Where a command was forwarded to: the place that --place named, if it did.
PLACE_ASKED_FOR = "L2TP_LAB_PLACE"


def command(words: str, lab: str) -> str:
    """Spell a command of the lab ``lab``, for the box on which the user typed the last one."""
    options = []
    if lab != DEFAULT_LAB:
        options += ["--lab", lab]
    if place := os.environ.get(PLACE_ASKED_FOR):
        options += ["--place", place]
    return " ".join(["l2tp-lab", words, *options])
