"""Plans in words: the command that makes each step, and what undoes it.

``netns`` makes links, addresses, routes and impairments by netlink, so the lines for ``ip`` and
``tc`` are what would do the same by hand: ``--dry-run`` prints them, and errors name them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

from lab.network.plan import (
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
    Ruleset,
    Step,
    Sysctl,
    Veth,
)
from lab.topology import Impairment

WITH_NETNS = "goes with its namespace"
WITH_FOLDER = "goes with the runtime folder"

# ip-netns(8), ip-link(8), ip-address(8), ip-route(8), tc-netem(8).
DO: dict[type, Callable[[Any], str]] = {
    NamesFolder: lambda s: f"mkdir -p {s.path} && mount --bind --make-shared {s.path} {s.path}",
    Netns: lambda s: f"ip netns add {s.name}",
    Sysctl: lambda s: f"ip netns exec {s.netns} sysctl -qw {s.key}={shlex.quote(s.value)}",
    Veth: lambda s: (
        f"ip link add name {s.interface} index {s.index} mtu {s.mtu} netns {s.netns} type veth "
        f"peer name {s.peer_interface} index {s.peer_index} mtu {s.mtu} netns {s.peer_netns}"
    ),
    Address: lambda s: (
        f"ip -n {s.netns} address add {s.address} dev {s.interface}{_no_dad(s.address)}"
    ),
    LinkUp: lambda s: f"ip -n {s.netns} link set dev {s.interface} up",
    Route: lambda s: f"ip -n {s.netns} route add {s.to} via {s.via}",
    Netem: lambda s: (
        f"tc -n {s.netns} qdisc add dev {s.interface} root netem "
        f"{' '.join(netem_words(s.impairment))}"
    ),
    Folder: lambda s: f"mkdir -m {s.mode:o} {s.path}",
    File: lambda s: f"install -m {s.mode:o} … {s.path}",
    Ruleset: lambda s: f"ip netns exec {s.netns} nft -f {s.path}",
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
    Ruleset: lambda s: WITH_NETNS,
    Process: lambda s: f"kill {s.name}, and whatever it has started",
}


def _no_dad(address: str) -> str:
    return " nodad" if ":" in address else ""


def netem_words(impairment: Impairment) -> tuple[str, ...]:
    """Write an impairment in the words of ``tc qdisc … netem`` (tc-netem(8))."""
    words: list[str] = []
    if impairment.limit_packets:
        words += ["limit", str(impairment.limit_packets)]
    if impairment.delay_ms or impairment.jitter_ms:
        words += ["delay", f"{impairment.delay_ms:g}ms"]
    if impairment.jitter_ms:
        words += [f"{impairment.jitter_ms:g}ms"]
    for word, percent in (
        ("loss", impairment.loss_percent),
        ("duplicate", impairment.duplicate_percent),
        ("corrupt", impairment.corrupt_percent),
        ("reorder", impairment.reorder_percent),
    ):
        if percent:
            words += [word, f"{percent:g}%"]
    if impairment.reorder_gap_packets:
        words += ["gap", str(impairment.reorder_gap_packets)]
    if impairment.rate_kbit:
        words += ["rate", f"{impairment.rate_kbit}kbit"]
    return tuple(words)


def _prefix(step: Process) -> str:
    return f"ip netns exec {step.netns} " if step.netns else ""


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
