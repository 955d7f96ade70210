"""Runs ``ip`` and ``tc`` on many lines at once, one process a namespace, all at the same time.

An own process costs 50 ms in an emulated machine; importing a netlink library costs 1.4 s there
(docs/decisions/network.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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


class NetworkError(LabError):
    """The kernel refused a link, an address, a route or an impairment."""


def run_batches(program: str, lines: Mapping[int | None, Sequence[Step | str]]) -> None:
    """Run ``program`` (ip or tc) once per namespace descriptor; None is where we are.

    Raises NetworkError with the line that failed and the kernel's reason, or CannotRun when the
    kernel or the box lacks something.
    """
    running: list[tuple[Batch, list[str]]] = []
    failures: list[LabError] = []
    try:
        for netns, steps in lines.items():
            texts = [s if isinstance(s, str) else batch_line(s) for s in steps]
            if texts:
                running.append((_start(program, netns, texts), texts))
    finally:
        for batch, texts in running:
            code, output = batch.finish()
            if code != 0:
                failures.append(_failure(program, texts, output))
    if failures:
        raise failures[0]


def _start(program: str, netns: int | None, texts: Sequence[str]) -> Batch:
    def start() -> Batch:
        return Batch.start((program, "-batch", "-"), "\n".join(texts) + "\n")

    try:
        return start() if netns is None else in_netns(netns, start)
    except FileNotFoundError:
        raise CannotRun(
            f"this box has no {program} command; install it: apt install iproute2"
        ) from None


def _failure(program: str, texts: Sequence[str], output: str) -> LabError:
    found = _FAILED.search(output)
    line = texts[int(found[1]) - 1] if found else f"a batch of {len(texts)} lines"
    reason = _FAILED.sub("", output).strip().removeprefix("RTNETLINK answers: ")
    for words, module in MISSING:
        if words in reason:
            return CannotRun(
                f"{program} {line}: {reason} This kernel lacks {module}: "
                f"modprobe {module}, or use another kernel: --place appliance"
            )
    return NetworkError(f"{program} {line}: {reason or 'no reason given'}")
