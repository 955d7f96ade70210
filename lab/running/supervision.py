"""Tells whether a lab's processes still run, and what those that ended said last."""

from __future__ import annotations

from pathlib import Path

from lab.network.ledger import Ledger
from lab.network.processes import Running, is_alive

_LAST_LINES = 5


def why_ended(folder: Path, name: str, log: Path) -> str:
    """Return what a process of the lab in ``folder`` said last if it has ended, else nothing."""
    for entry in Ledger.open(folder).entries():
        if entry.kind == "process" and entry.step["name"] == name and "pid" in entry.identity:
            process = Running(entry.identity["pid"], entry.identity["start_ticks"])
            return "" if is_alive(process) else _last_words(name, log)
    return f"the ledger in {folder} knows no process {name}"


def _last_words(name: str, log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    said = "\n".join(lines[-_LAST_LINES:]) or "nothing"
    return f"{name} has ended, and said last: {said}"
