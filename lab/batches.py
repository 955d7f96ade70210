"""Runs ``ip`` and ``tc`` on many lines at once, one process a namespace, all at the same time.

An own process costs 50 ms in an emulated machine; importing a netlink library costs 1.4 s there
(docs/decisions/network.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lab.errors import CannotRun, LabError
from lab.namespaces import in_netns
from lab.plan import Step
from lab.plan_text import batch_line
from lab.spawn import Batch

# What ip and tc say when the kernel lacks a part, and the part's module.
MISSING = (
    ("Unknown device type", "veth"),
    ("qdisc kind is unknown", "sch_netem"),
)

_FAILED = re.compile(r"^Command failed .*:(\d+)$", re.MULTILINE)


class Place(NamedTuple):
    """A namespace to run in: its name, for messages, and its descriptor."""

    netns: str
    handle: int


class NetworkError(LabError):
    """The kernel refused a link, an address, a route or an impairment."""


def run_batches(program: str, lines: Mapping[Place | None, Sequence[Step | str]]) -> None:
    """Run ``program`` (ip or tc) once in each place, all at the same time; None is where we are.

    Raises NetworkError with the line that failed and the kernel's reason, or CannotRun when the
    kernel or the box lacks something.
    """
    running: list[tuple[Batch, str, list[str]]] = []
    failures: list[LabError] = []
    try:
        for place, steps in lines.items():
            texts = [s if isinstance(s, str) else batch_line(s) for s in steps]
            if texts:
                command = f"{program} -n {place.netns}" if place else program
                running.append((_start(program, place, texts), command, texts))
    finally:
        for batch, command, texts in running:
            code, output = batch.finish()
            if code != 0:
                failures.append(_failure(command, texts, output))
    if failures:
        raise failures[0]


def _start(program: str, place: Place | None, texts: Sequence[str]) -> Batch:
    def start() -> Batch:
        return Batch.start((program, "-batch", "-"), "\n".join(texts) + "\n")

    try:
        return start() if place is None else in_netns(place.handle, start)
    except FileNotFoundError:
        raise CannotRun(
            f"this box has no {program} command; install it: apt install iproute2"
        ) from None


def _failure(command: str, texts: Sequence[str], output: str) -> LabError:
    found = _FAILED.search(output)
    line = texts[int(found[1]) - 1] if found else f"a batch of {len(texts)} lines"
    reason = _FAILED.sub("", output).strip()
    reason = reason.removeprefix("RTNETLINK answers: ").removeprefix("Error: ")
    for words, module in MISSING:
        if words in reason:
            return CannotRun(
                f"{command} {line}: {reason} This kernel lacks {module}: "
                f"modprobe {module}, or use another kernel: --place appliance"
            )
    return NetworkError(f"{command} {line}: {reason or 'no reason given'}")
