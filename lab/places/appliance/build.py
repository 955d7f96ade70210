"""Runs one part of ``playbooks/appliance.yml``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import CannotRun
from lab.places.appliance.folders import require_space, scratch_folder
from lab.places.appliance.mirror import apt_lines
from lab.places.base import Progress

#: Where mmdebstrap unpacks: the userland, or a kernel with all its modules.
_SCRATCH_MIB = 900

#: A disk with less than this was full a moment ago, before the half-made files were removed.
_LEFT_MIB = 64


def run_part(
    part: str, suite: str, work: Path, variables: Mapping[str, Any], progress: Progress
) -> None:
    """Build ``image`` or ``kernel`` of a Debian suite in the folder ``work``.

    Raises CannotRun with the failed task's own message.
    """
    from lab.playbooks import TaskEnded, run_playbook

    def started(_: str) -> None:
        """Nothing to show before a task's end: each takes seconds."""

    def ended(task: TaskEnded) -> None:
        if task.state != "skipped":
            progress.say(f"    {task.name}: {task.state}, {task.duration_s:.1f} s")

    scratch = scratch_folder()
    require_space(scratch, _SCRATCH_MIB, "mmdebstrap")
    always = {
        "part": part,
        "suite": suite,
        "work": str(work),
        # As root no user namespace is needed, and many containers forbid them.
        "mode": "root" if os.geteuid() == 0 else "unshare",
        "mirror": apt_lines(suite),
        "scratch": str(scratch),
    }
    try:
        run_playbook("appliance", {**always, **variables}, started, ended)
    except CannotRun:
        # Most programs do not say it in words of their own when a disk is full.
        for folder in (work, scratch):
            require_space(folder, _LEFT_MIB, f"building the appliance ({part})")
        raise
