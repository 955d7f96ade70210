"""The options that say where a command does its work: the same before and after its name."""

from __future__ import annotations

import argparse

from lab.commands.parser import Parser
from lab.errors import UsageError


def shared_options() -> Parser:
    """Return a parser with them, for every command's and every action's ``parents``."""
    # SUPPRESS lets the same option stand before or after the command without one undoing the other.
    shared = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = shared.add_argument_group("where the lab runs")
    group.add_argument(
        "--place",
        choices=("here", "appliance"),
        help="this kernel, or a stock kernel in QEMU (default: here if the doctor finds all)",
    )
    group.add_argument(
        "--lab", metavar="NAME", type=_lab_name, help="which lab, where several run (default: lab)"
    )
    group.add_argument(
        "--kernel",
        metavar="KERNEL",
        help="the appliance's kernel: 6.1, 6.12, newest, or a folder with vmlinuz and its modules",
    )
    return shared


def _lab_name(text: str) -> str:
    from lab.topology import check_lab_name  # late: every command asks for these options

    try:
        check_lab_name(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
