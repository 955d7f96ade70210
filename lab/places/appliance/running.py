"""Whether a lab's machine runs: asked by each command, so little is imported for it."""

from __future__ import annotations

from lab.places.appliance.machine import Home, read_record
from lab.places.appliance.paths import default_cache


def running_kernel(lab: str) -> str | None:
    """Return which kernel a lab's machine runs, in the words of --kernel; None when none runs."""
    home = Home.of(default_cache(), lab)
    record = read_record(home)
    return record.kernel if record and home.find() else None


def machine_runs(lab: str) -> bool:
    """Tell whether a lab's machine runs; makes no folder, and asks for none, where none does."""
    home = Home.kept(default_cache(), lab)
    return home is not None and home.find() is not None
