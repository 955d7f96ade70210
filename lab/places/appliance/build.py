"""Runs one part of ``playbooks/appliance.yml``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.places.appliance.folders import scratch_folder
from lab.places.appliance.mirror import apt_lines
from lab.places.base import Progress


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

    always = {
        "part": part,
        "suite": suite,
        "work": str(work),
        # As root no user namespace is needed, and many containers forbid them.
        "mode": "root" if os.geteuid() == 0 else "unshare",
        "mirror": apt_lines(suite),
        "scratch": str(scratch_folder()),
    }
    run_playbook("appliance", {**always, **variables}, started, ended)
