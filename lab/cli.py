"""The command line: ``l2tp-lab COMMAND``, one row a command, forwarded to where the lab runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from l2tp.protocol.errors import L2tpError
from lab.commands import COMMANDS, Command, Where
from lab.commands.parser import Help, Parser
from lab.commands.where import shared_options
from lab.console import Console
from lab.errors import LabError
from lab.outputs import require_file, require_folder
from lab.readers import interrupted_when_unread
from lab.spelling import DEFAULT_LAB, as_typed
from probes.errors import ProbeError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 passed, 1 failed, 2 wrong usage or input, 3 the machine was lost, 4 could not run here.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    before, after = _split_at_dashes(words)
    args, unknown = _parser(before).parse_known_args(before)
    if unknown:
        args.parser.refuse(unknown)
    args.after_dashes = after
    args.lab = getattr(args, "lab", DEFAULT_LAB)
    console = Console(quiet=getattr(args, "quiet", False))
    try:
        return _dispatch(COMMANDS[args.command], args, words, console)
    except LabError as error:
        _complain(error)
        return error.exit_code
    except (L2tpError, ProbeError) as error:
        from l2tp.daemon.control import WrongRequest  # late, like all that few commands need

        _complain(error)
        return 2 if isinstance(error, WrongRequest) else 1
    except BrokenPipeError:
        # Whoever read our output has gone (head, less): there is nobody left to tell.
        sys.stderr.close()
        return 1
    except Exception as error:
        return _our_own_fault(error)


def _complain(error: Exception) -> None:
    text = as_typed(str(error))
    # Of several lines each begins with its place, FILE:LINE, which editors and CI look for.
    between = "\n" if "\n" in text else " "
    print(f"l2tp-lab:{between}{text}", file=sys.stderr)


def _our_own_fault(error: Exception) -> int:
    import tempfile
    import traceback

    # A bug of ours: the user gets a sentence, and whoever mends it the traceback in a file.
    with tempfile.NamedTemporaryFile(
        "w", prefix="l2tp-lab-error-", suffix=".txt", delete=False
    ) as file:
        file.writelines(traceback.format_exception(error))
    print(
        f"l2tp-lab: an error that it should have foreseen: {type(error).__name__}: {error}. "
        f"Please report it with {file.name}",
        file=sys.stderr,
    )
    return 1


def _split_at_dashes(words: list[str]) -> tuple[list[str], list[str]]:
    # What stands behind “--” is a command of the user's own (l2tp-lab shell lns -- ip addr): it is
    # kept from argparse, whatever it looks like.
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _dispatch(
    command: Command, args: argparse.Namespace, words: list[str], console: Console
) -> int:
    if command.where is Where.BOX:
        return command.module().run(args, console)
    # What can be wrong with the input is said before anything is built or started for it.
    if verify := getattr(command.module(), "verify", None):
        verify(args)
    from lab.places.choose import INSIDE, NothingRuns, choose
    from lab.places.forward import forward

    # In the appliance it is a place of ours, which need not be there yet.
    require = require_file if command.output_is_file else require_folder
    for option in command.files_out if INSIDE not in os.environ else ():
        if value := getattr(args, option):
            require(option, Path(value))
    try:
        place = choose(args, console, starts=command.brings_up(args))
    except NothingRuns:
        if not command.is_done_without_a_machine:
            raise
        console.say(f"there is nothing to do: no machine of the lab “{args.lab}” runs")
        return 0
    with interrupted_when_unread() if command.is_live else nullcontext():
        if place is None:
            return _here(command, args, words, console)
        return forward(place, command, args, words, {})


def _here(command: Command, args: argparse.Namespace, words: list[str], console: Console) -> int:
    from lab.places.here import as_root

    if os.geteuid() == 0:
        return command.module().run(args, console)
    return as_root(args, words)


def _parser(words: Sequence[str]) -> Parser:
    # Only what may be the command brings its options: each has a module of its own to import.
    shared = shared_options()
    parser = Parser(
        prog="l2tp-lab",
        description="A live L2TP network over the Linux kernel's PPPoL2TP driver, on this box.",
        epilog="Exit codes: 0 passed, 1 failed, 2 wrong usage or input, 3 the machine was lost, "
        "4 could not run here.",
        parents=[shared],
    )
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        added = commands.add_parser(
            name,
            help=command.help,
            description=command.description,
            parents=[shared],
            formatter_class=Help,
        )
        added.set_defaults(parser=added)
        if name in words:
            command.module().add_arguments(added)
    return parser
