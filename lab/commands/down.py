"""``l2tp-lab down``: remove the lab, and nothing else."""

from __future__ import annotations

import argparse
import shutil

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options: there are none of its own."""


def run(args: argparse.Namespace, console: Console) -> int:
    """Remove what the ledger proves to be ours; nothing to do is no error."""
    from lab.running.bringup import kept_logs, take_down

    with console.step(f"remove lab “{args.lab}”"):
        removed = take_down(args.lab)
        shutil.rmtree(kept_logs(args.lab), ignore_errors=True)
    console.say(f"removed {removed} objects" if removed else "there was nothing to remove")
    return 0
