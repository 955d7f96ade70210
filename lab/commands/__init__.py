"""The commands: one row each here, one file each beside this one.

A command's file has ``add_arguments(parser)`` and ``run(args, console)``. It is imported whenever
the parser is built, so what is heavy is imported inside ``run``.
"""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, cast

from lab.console import Console


class Where(Enum):
    """Where a command's own code runs."""

    BOX = "on this box, whatever the place is"
    PLACE = "where the lab's kernel is: forwarded into the appliance"


class CommandModule(Protocol):
    """What a command's file offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own options."""

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Do it, and return the exit code."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command line."""

    file: str
    where: Where
    help: str
    description: str = ""
    #: Options whose value is a file to bring along into the appliance.
    files_in: tuple[str, ...] = ()
    #: Options whose value is a folder or file to fetch from the appliance afterwards.
    files_out: tuple[str, ...] = ()
    #: Whether that is a file, and not a folder.
    output_is_file: bool = False
    #: The option that makes the command serve, and the one that names its port of loopback, which
    #: is then reached from this box too.
    serves: tuple[str, str] | None = None
    #: Whether the command talks with the user's terminal.
    terminal: bool = False
    #: Whether the command hands its input on to a program of the user's.
    reads_input: bool = False
    #: Whether the command brings up what it needs (a machine), or only uses what is there.
    starts: bool = True
    #: The argument with which a command that starts things only uses what is there.
    unless: str = ""
    #: Whether it shows what happens until it is ended, be it by its reader's going.
    is_live: bool = False
    #: Whether there is nothing to do, and no error, where no machine runs.
    is_done_without_a_machine: bool = False

    def brings_up(self, args: argparse.Namespace) -> bool:
        """Tell whether this command line brings up what it needs."""
        return self.starts and not (self.unless and getattr(args, self.unless))

    def module(self) -> CommandModule:
        """Import the command's file."""
        return cast(CommandModule, importlib.import_module(f"lab.commands.{self.file}"))


COMMANDS = {
    "up": Command(
        "up",
        Where.PLACE,
        "bring the lab up, and show it",
        "Builds the topology, starts the daemons and the probes, and dials the tunnels.",
        files_in=("topology",),
        files_out=("output",),
    ),
    "check": Command(
        "check",
        Where.PLACE,
        "run the checks against the live lab",
        "Each check says what it asserts; what it asserts comes from the kernel.",
        files_out=("output",),
        starts=False,
    ),
    "status": Command(
        "status",
        Where.PLACE,
        "tunnels and sessions",
        "Draws the topology with its tunnels in it, and lists tunnels and sessions: ids, states, "
        "ppp interfaces, addresses, packets.",
        starts=False,
    ),
    "trace": Command(
        "trace",
        Where.PLACE,
        "what the driver does, per tunnel and session, live",
        "Shows what the driver did with the packets of each tunnel and session, received and sent, "
        "again and again until Ctrl-C or --count; and where its own counters do not agree.",
        terminal=True,
        starts=False,
        is_live=True,
    ),
    "debug": Command(
        "debug",
        Where.PLACE,
        "what the driver says of one tunnel or session: on, off, read",
        "Without arguments: what is on, and what was said since somebody last asked.",
        terminal=True,
        starts=False,
        is_live=True,
    ),
    "journey": Command(
        "journey",
        Where.PLACE,
        "every hop of chosen packets, with times, lengths and the end",
        "Follows packets from a ppp interface in one node to the one in another. Filters are joined"
        " by “and”.",
        files_out=("output",),
        output_is_file=True,
        terminal=True,
        starts=False,
        is_live=True,
    ),
    "timeline": Command(
        "timeline",
        Where.PLACE,
        "control messages, pppd and the kernel on one clock",
        "In each line: d, what a daemon told; p, pppd; k, the kernel.",
        terminal=True,
        starts=False,
        is_live=True,
    ),
    "metrics": Command(
        "metrics",
        Where.PLACE,
        "the tracer's figures as Prometheus text",
        "Prints them once, or serves them on loopback: of this box, wherever the lab runs.",
        serves=("serve", "port"),
        starts=False,
    ),
    "call": Command(
        "call",
        Where.PLACE,
        "dial a session",
        "Has a LAC dial a session, and its tunnel where there is none; ends when PPP runs on it. "
        "With --number an LNS has its LAC dial: an outgoing call.",
        starts=False,
    ),
    "hangup": Command(
        "hangup",
        Where.PLACE,
        "end a session or a tunnel",
        "Ends one session (l2tp-lab hangup lac 15345/41425), or a tunnel with all its sessions "
        "(l2tp-lab hangup lac 15345).",
        starts=False,
    ),
    "hello": Command(
        "hello",
        Where.PLACE,
        "ask a tunnel's peer for a sign of life",
        "Sends a HELLO (l2tp-lab hello lac 15345), and says how long its acknowledgement took.",
        starts=False,
    ),
    "events": Command(
        "events",
        Where.PLACE,
        "what happens in the daemons, live",
        "Messages, calls, PPP and network changes, as the daemons' logs have them.",
        starts=False,
        is_live=True,
    ),
    "reload": Command(
        "reload",
        Where.PLACE,
        "have a daemon read its configuration again",
        "Live tunnels and sessions stay as they are; what is wrong is told whole, and changes "
        "nothing.",
        starts=False,
    ),
    "shell": Command(
        "shell",
        Where.PLACE,
        "a shell (or one command) in a node, or beside the lab",
        "For example: l2tp-lab shell lac -- ping 203.0.113.2",
        terminal=True,
        reads_input=True,
        # A node of a lab is there, or not; beside it a fresh machine is of use.
        unless="node",
    ),
    "down": Command(
        "down",
        Where.PLACE,
        "remove the lab, and nothing else",
        "Removes what the lab's own ledger says was made, also after a crash or a reboot. Where "
        "there is nothing to remove it does nothing.",
        starts=False,
        is_done_without_a_machine=True,
    ),
    "doctor": Command(
        "doctor",
        Where.BOX,
        "what this box can do, each “no” with its cure",
        "Asks this box for all that a lab needs, and says where a lab would run. It changes "
        "nothing.",
    ),
    "setup": Command(
        "setup",
        Where.BOX,
        "install what the doctor misses",
        "Installs and loads what a lab needs at its place, and nothing else; up does it by itself.",
    ),
    "appliance": Command(
        "appliance",
        Where.BOX,
        "build, start, stop, export, … the appliance",
        "The appliance is a stock Debian kernel in QEMU, for boxes whose own kernel cannot run a "
        "lab. up builds and starts it by itself.",
    ),
    "bench": Command(
        "bench",
        Where.BOX,
        "measure the figures, with their conditions",
        "Brings a lab of its own up and down in an appliance, and prints medians beside goals.",
    ),
}
