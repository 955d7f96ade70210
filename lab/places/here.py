"""The place “here”: this kernel, as root, which an ordinary user becomes through sudo."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from lab.interpreters import CHOICE, PATH_LINE, path_line
from lab.places.choose import INSIDE, SAID
from lab.sudo import ask_for_root, l2tp_lab, run_as_root

_WITHOUT_ROOT = "Without root, in QEMU: the same with --place appliance"

#: Settings of ours that sudo would take away.
_KEPT = ("COLUMNS", "NO_COLOR", CHOICE, INSIDE)


def as_root(args: argparse.Namespace, words: Sequence[str]) -> int:
    """Run the same command line again as root; return its exit code.

    Raises CannotRun, with the command to run by hand, where nobody can be asked for a password.
    """
    # What only root can see may be missing yet: that is to be said, and no other place taken.
    again = list(words) if getattr(args, "place", None) else ["--place", "here", *words]
    sudo = ask_for_root("a lab on this kernel", l2tp_lab(words), _WITHOUT_ROOT)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return run_as_root(sudo, again, {SAID: "1", PATH_LINE: path_line(), **kept})
