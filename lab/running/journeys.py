"""Follows packets of a running lab, or of the whole box: runs the probes, reads what they say."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.errors import CannotRun, LabError
from lab.interpreters import environment, tracer_python
from lab.running.ending import end_with_parent

_CANNOT_RUN = 4
_PATIENCE_S = 30.0


@contextlib.contextmanager
def followed(
    options: Sequence[str],
    nodes: Mapping[int, str],
    cache: Path | None,
    command: str = "journey",
) -> Iterator[Iterator[dict[str, Any]]]:
    """Start ``python3 -m probes COMMAND`` and give what it tells, one object at a time.

    The first object has the kind "ready", the last one "status". Leaving ends it.
    options: of that command. nodes: names of namespaces by inode number. cache: where compiled
    programs are kept; None keeps none.
    Raises LabError, or CannotRun, with the probes' own words when it ends early.
    """
    with contextlib.ExitStack() as stack:
        if cache is None:
            temporary = tempfile.TemporaryDirectory(prefix="l2tp-lab-journey-")
            cache = Path(stack.enter_context(temporary))
        words = [command, *options, "--cache", str(cache)]
        yield stack.enter_context(_followed(words, nodes))


@contextlib.contextmanager
def _followed(words: Sequence[str], nodes: Mapping[int, str]) -> Iterator[Iterator[dict[str, Any]]]:
    named = [word for inode, name in nodes.items() for word in ("--node", f"{inode}={name}")]
    process = subprocess.Popen(
        [tracer_python(), "-m", "probes", *words, *named],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,  # the terminal's Ctrl-C is for us; we pass it on when we have read
        preexec_fn=end_with_parent,
    )
    try:
        yield _told(process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_PATIENCE_S)
        if process.poll() is None:
            process.kill()
            process.wait()


def _told(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    if process.stdout is None or process.stderr is None:
        raise ValueError("the process was started without pipes")
    with _interrupt_ends(process) as interrupted:
        for line in process.stdout:
            yield json.loads(line)
        said = process.stderr.read().strip()
        code = process.wait()
    if interrupted and code in (-signal.SIGTERM, -signal.SIGINT):
        raise KeyboardInterrupt  # before it could end in good order: nothing had begun
    if code:
        words = "\n".join(line.removeprefix("probes: ") for line in said.splitlines())
        raise (CannotRun if code == _CANNOT_RUN else LabError)(words or f"it ended with {code}")


@contextlib.contextmanager
def _interrupt_ends(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Let Ctrl-C end the probes in good order, so that their last words still come.

    Gives the signals that have come.
    """
    heard: list[int] = []

    def pass_on(number: int, _: object) -> None:
        heard.append(number)
        process.send_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGINT, pass_on)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)
