"""``l2tp-lab doctor``: what this box can do, each “no” with its cure."""

from __future__ import annotations

import argparse
import sys

from lab.console import Console
from lab.doctor.model import Need

#: What the table means for whoever wants a lab: a “no” need not be cured by hand.
_NEXT = {
    Need.HERE: "make lab, or l2tp-lab up, installs the programs that are missing for a lab here.",
    Need.APPLIANCE: "make lab, or l2tp-lab up, installs the programs that are missing for\n"
    "the appliance, which brings its own kernel; the other cures are for\n--place here.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="the findings as one JSON document")


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask everything, print the table; 4 when the place asked for cannot be."""
    from lab.doctor.capabilities import SECTIONS
    from lab.doctor.report import as_json, as_text
    from lab.errors import CannotRun
    from lab.pictures.width import width_of
    from lab.places.choose import decide

    place, code = None, 0
    try:
        choice = decide(getattr(args, "place", None), args.lab, getattr(args, "kernel", None))
        place, reason = choice.need.value, choice.reason
        verdict = f"place: {place} ({reason})\n{_NEXT[choice.need]}"
    except CannotRun as error:
        # The table is what shows why, and each cure beside what it cures.
        reason = verdict = str(error)
        code = error.exit_code
    findings = {
        section: [(capability, capability.ask()) for capability in rows]
        for section, rows in SECTIONS.items()
    }
    if args.json:
        print(as_json(findings, place, reason))
    else:
        print("\n".join(as_text(findings, verdict, width_of(sys.stdout))))
    return code
