"""Plans in words: the command that makes each step, and what undoes it.

The lines for ``ip`` and ``tc`` are the very ones that ``lab.netns`` runs, so what ``--dry-run``
prints is what happens.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

from lab.plan import (
    Address,
    File,
    Folder,
    LinkUp,
    NamesFolder,
    Netem,
    Netns,
    Plan,
    Process,
    Route,
    Step,
    Sysctl,
    Veth,
)

WITH_NETNS = "goes with its namespace"
WITH_FOLDER = "goes with the runtime folder"

# How each kind is said to ip or tc in a batch (ip-netns(8), ip-link(8), tc-netem(8)).
BATCH: dict[type, Callable[[Any], str]] = {
    Veth: lambda s: (
        f"link add name {s.interface} index {s.index} mtu {s.mtu} netns {s.netns} type veth "
        f"peer name {s.peer_interface} index {s.peer_index} mtu {s.mtu} netns {s.peer_netns}"
    ),
    Address: lambda s: f"address add {s.address} dev {s.interface}{_no_dad(s.address)}",
    LinkUp: lambda s: f"link set dev {s.interface} up",
    Route: lambda s: f"route add {s.to} via {s.via}",
    Netem: lambda s: f"qdisc add dev {s.interface} root netem {' '.join(s.options)}",
}

DO: dict[type, Callable[[Any], str]] = {
    NamesFolder: lambda s: f"mkdir -p {s.path} && mount --bind --make-shared {s.path} {s.path}",
    Netns: lambda s: f"ip netns add {s.name}",
    Sysctl: lambda s: f"ip netns exec {s.netns} sysctl -qw {s.key}={shlex.quote(s.value)}",
    Veth: lambda s: f"ip {BATCH[Veth](s)}",
    Address: lambda s: f"ip -n {s.netns} {BATCH[Address](s)}",
    LinkUp: lambda s: f"ip -n {s.netns} {BATCH[LinkUp](s)}",
    Route: lambda s: f"ip -n {s.netns} {BATCH[Route](s)}",
    Netem: lambda s: f"tc -n {s.netns} {BATCH[Netem](s)}",
    Folder: lambda s: f"mkdir -m {s.mode:o} {s.path}",
    File: lambda s: f"install -m {s.mode:o} … {s.path}",
    Process: lambda s: f"{_prefix(s)}{shlex.join(s.argv)} >>{s.log} 2>&1 &",
}

UNDO: dict[type, Callable[[Any], str]] = {
    NamesFolder: lambda s: f"umount {s.path} && rmdir {s.path}, if we made it and it is empty",
    Netns: lambda s: f"ip netns del {s.name}",
    Sysctl: lambda s: WITH_NETNS,
    Veth: lambda s: f"ip -n {s.netns} link del {s.interface}",
    Address: lambda s: WITH_NETNS,
    LinkUp: lambda s: WITH_NETNS,
    Route: lambda s: WITH_NETNS,
    Netem: lambda s: WITH_NETNS,
    Folder: lambda s: WITH_FOLDER,
    File: lambda s: WITH_FOLDER,
    Process: lambda s: f"kill {s.name}, and whatever it has started",
}


def _no_dad(address: str) -> str:
    return " nodad" if ":" in address else ""


def _prefix(step: Process) -> str:
    return f"ip netns exec {step.netns} " if step.netns else ""


def batch_line(step: Step) -> str:
    """Say a step to ``ip -batch`` or ``tc -batch``; KeyError for steps that neither makes."""
    return BATCH[type(step)](step)


def do_text(step: Step) -> str:
    """Give the command that would make ``step`` by hand."""
    return DO[type(step)](step)


def undo_text(step: Step) -> str:
    """Give the command that would undo ``step`` by hand, or what it goes away with."""
    return UNDO[type(step)](step)


def plan_lines(plan: Plan, *, undo: bool = False) -> Iterator[str]:
    """Print a plan, a line a step under its group's title; backwards with ``undo``."""
    groups = reversed(plan.groups) if undo else iter(plan.groups)
    for group in groups:
        steps = reversed(group.steps) if undo else iter(group.steps)
        texts = [undo_text(step) if undo else do_text(step) for step in steps]
        commands = [text for text in texts if text not in (WITH_NETNS, WITH_FOLDER)]
        if commands:
            yield f"# {group.title}"
            yield from commands
