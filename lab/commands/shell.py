"""``l2tp-lab shell``: a shell, or one command, in a node's namespace or beside the lab."""

from __future__ import annotations

import argparse
import subprocess

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = "l2tp-lab shell [NODE] [-- COMMAND …]"
    parser.add_argument(
        "node", nargs="?", help="the node whose namespace to enter (default: beside the lab)"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Enter the node's namespace and run; the exit code is the command's own."""
    from lab.interpreters import PROJECT, environment, search_path

    node, words = args.node, args.after_dashes
    enter: list[str] = []
    if node is not None:
        from lab.running.live import Live

        netns = Live.open(args.lab).netns(node)
        enter = ["nsenter", f"--net=/run/netns/{netns}", "--"]
    # An interactive shell says where it is, in the prompt's usual place.
    prompt = {"PS1": f"{args.lab}:{node or 'root'}# ", "PATH": search_path()}
    command = words or ["/bin/sh", "-i"]
    try:
        done = subprocess.run(
            [*enter, *command], cwd=PROJECT, env={**environment(), **prompt}, check=False
        )
    except FileNotFoundError:
        console.say(f"l2tp-lab: there is no program {command[0]} where the lab runs")
        return 127
    except OSError as error:
        console.say(f"l2tp-lab: {command[0]} cannot be run: {error.strerror}")
        return 126
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
