"""The folder that a run leaves: results in every form, status, the logs of daemons and kernel."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.outputs import handed_over, tell_written
from lab.results import Result
from lab.results.writers import as_json, junit, ktap
from lab.running.live import Live
from lab.running.timelines import LabTimeline, of_live
from lab.running.tracing import as_record, node_names, of_lab


def write_run_folder(folder: Path, live: Live, results: Sequence[Result]) -> None:
    """Write everything that a run showed into a folder, made when missing."""
    with handed_over(folder):
        _write(folder, live, results)
    tell_written(folder)


def _write(folder: Path, live: Live, results: Sequence[Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(as_json(results))
    (folder / "junit.xml").write_text(junit(results))
    (folder / "results.ktap").write_text(ktap(results))
    status = live.statuses()
    (folder / "status.json").write_text(json.dumps(status, indent=1) + "\n")
    names = node_names(live)
    with live.tracer as tracer:
        figures = as_record(of_lab(tracer.snapshot(), names), names)
    (folder / "trace.json").write_text(json.dumps(figures, indent=1) + "\n")
    timeline = LabTimeline(of_live(live))
    rows = [*timeline.read(), *timeline.not_seen()]
    (folder / "timeline.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for node in live.daemons:
        log = live.folder / node / "log.jsonl"
        if log.exists():
            shutil.copy(log, folder / f"{node}.jsonl")
    kernel = subprocess.run(["dmesg"], capture_output=True, text=True, check=False)
    (folder / "dmesg.txt").write_text(kernel.stdout)
