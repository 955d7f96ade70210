"""Runs a command line of this box where the lab's kernel is, as if it had been typed there."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from lab.commands import Command
from lab.errors import LabError, MachineLost, UsageError
from lab.interpreters import CHOICE, PATH_LINE, WARM_PYTHON, path_line
from lab.outputs import tell_written
from lab.places.base import Place
from lab.places.choose import INSIDE
from lab.spelling import PLACE_ASKED_FOR, files_as_typed

#: Options that are about the place itself, and so mean nothing inside it.
_ABOUT_PLACES = ("--place", "--kernel")
_IN = PurePosixPath("/run/l2tp-lab-files/in")
_OUT = PurePosixPath("/run/l2tp-lab-files/out")


def forward(
    place: Place,
    command: Command,
    args: argparse.Namespace,
    words: list[str],
    environment: Mapping[str, str],
) -> int:
    """Prepare the place, bring files in, run, fetch files out, and return the exit code.

    Files that an option names are copied in beforehand; what an output option names is fetched
    afterwards, whatever the outcome was.
    """
    renamed: dict[tuple[str, str], str] = {}
    outputs: list[tuple[PurePosixPath, Path]] = []
    place.prepare()
    with ExitStack() as stack:
        for option in command.files_in:
            if (path := _file_of(args, option)) is not None:
                handle = stack.enter_context(path.open("rb"))
                renamed[option, str(getattr(args, option))] = str(_IN / path.name)
                copy = ["dd", "status=none", f"of={_IN / path.name}"]
                place.run(["mkdir", "-p", str(_IN)])
                place.run(copy, stdin=handle.fileno())
        for option in command.files_out:
            if value := getattr(args, option, None):
                source = _OUT / f"{os.getpid()}-{option}"
                renamed[option, value] = str(source)
                outputs.append((source, Path(value)))
        tty = command.terminal and sys.stdin.isatty() and sys.stdout.isatty()
        # A terminal belongs to one session, and a process that was ready is in another.
        python = "python3" if tty else os.environ.get(CHOICE, WARM_PYTHON)
        line = [python, "-m", "lab", *_rewritten(words, renamed)]
        chosen = {} if tty else {CHOICE: python}
        typed = files_as_typed({copy: given for (_, given), copy in renamed.items()})
        variables = {**_settings(environment, args), **chosen, **typed}
        settings = [f"{name}={value}" for name, value in variables.items()]
        if command.serves and getattr(args, command.serves[0]):
            port = getattr(args, command.serves[1]) or _free_port()
            stack.enter_context(place.reached(port))
            line.append(f"--{command.serves[1]}={port}")
        stdin = 0 if command.reads_input and not tty else None
        code = place.run(["env", *settings, *line], tty=tty, stdin=stdin)
        for source, target in outputs:
            if _fetch(place, source, target, code):
                tell_written(target)
        return code


def _fetch(place: Place, source: PurePosixPath, target: Path, code: int) -> bool:
    """Bring an output from the place, and tell whether there was one."""
    try:
        place.fetch(source, target)
        return True
    except MachineLost:
        raise
    except LabError:
        # A command that failed may not have come to writing it, and has said why it failed.
        if code == 0:
            raise
        return False
    except OSError as error:
        raise LabError(f"{target} cannot be written: {error.strerror}") from error


def _free_port() -> int:
    """Take a port that is free here; the same one is asked for where the lab runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _file_of(args: argparse.Namespace, option: str) -> Path | None:
    value = getattr(args, option, None)
    # A bare name is one of those that come with the lab.
    if not value or ("/" not in value and "." not in value):
        return None
    path = Path(value)
    if not path.is_file():
        raise UsageError(f"--{option} {value}: there is no such file")
    return path


def _settings(environment: Mapping[str, str], args: argparse.Namespace) -> dict[str, str]:
    return {
        INSIDE: "1",
        PATH_LINE: path_line(),
        PLACE_ASKED_FOR: getattr(args, "place", None) or "",
        "COLUMNS": str(shutil.get_terminal_size((80, 24)).columns),
        "TERM": os.environ.get("TERM", "dumb"),
        **environment,
    }


def _rewritten(words: list[str], renamed: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Drop the options about places, and put the copies' names for the files' own.

    ``renamed`` has the copy's name by the option's and the file's: the same word elsewhere (a
    folder may be called like a check, or a lab) is something else.
    """
    at_user_command = False
    rest = iter(words)
    for word in rest:
        at_user_command = at_user_command or word == "--"
        option, equals, value = word.partition("=")
        if at_user_command:
            yield word
        elif option in _ABOUT_PLACES:
            if not equals:
                next(rest, None)
        elif not equals and (names := _of_option(word, renamed)):
            value = next(rest, "")
            yield from (word, names.get(value, value))
        elif equals and value in (names := _of_option(option, renamed)):
            yield f"{option}={names[value]}"
        else:
            yield word


def _of_option(word: str, renamed: Mapping[tuple[str, str], str]) -> dict[str, str]:
    # argparse takes an option's beginning for the whole.
    return {
        value: name
        for (option, value), name in renamed.items()
        if len(word) > 2 and f"--{option}".startswith(word)
    }
