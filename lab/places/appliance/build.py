"""Runs one part of ``playbooks/appliance.yml``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import CannotRun
from lab.places.appliance.folders import no_space, require_space, scratch_folder
from lab.places.appliance.mirror import apt_lines, apt_options
from lab.places.base import Progress

#: Where mmdebstrap unpacks: the userland, or a kernel with all its modules.
_SCRATCH_MIB = 900

#: What a program said before it failed is shown up to this length.
_SHOWN_LINES = 20

_CURE = (
    "The build fetches from Debian's mirror and from pip's index: check the network and the lines "
    "above, then run it again; a box without a network takes the appliance from another one's "
    "export: l2tp-lab appliance import FILE"
)

#: A disk with less than this left was the reason, whatever the program that failed says.
_LEFT_BYTES = 64 << 20


def run_part(
    part: str,
    suite: str,
    work: Path,
    variables: Mapping[str, Any],
    progress: Progress,
    *,
    needed_mib: int,
) -> None:
    """Build ``image`` or ``kernel`` of a Debian suite in the folder ``work``.

    ``needed_mib`` is what its disk must have had free, to say so when it turns out to be full.
    Raises CannotRun with the failed task's own message.
    """
    from lab.playbooks import PlaybookFailed, TaskEnded, run_playbook

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
        "apt_options": apt_options(),
        "scratch": str(scratch),
    }
    try:
        run_playbook("appliance", {**always, **variables}, started, ended)
    except PlaybookFailed as error:
        # Most programs do not say it in words of their own when a disk is full.
        for folder, mib in ((work, needed_mib), (scratch, _SCRATCH_MIB)):
            if shutil.disk_usage(folder).free < _LEFT_BYTES:
                raise no_space(folder, mib, f"building the appliance ({part})") from None
        for line in error.output.splitlines()[-_SHOWN_LINES:]:
            progress.say(f"      {line}")
        raise CannotRun(f"{error}. {_CURE}") from error
