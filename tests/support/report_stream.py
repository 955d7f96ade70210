"""The far side of ``in_place``: a pytest that writes each report as one JSON line.

``python3 -m tests.support.report_stream`` runs the tests that its input names, one a line; its
output carries nothing but the reports. The exit code is 0 or 1: pytest's own 4 (wrong usage) would
read as “could not run here”.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

#: A copy of standard output: this module is imported before pytest's capture replaces it.
_OUTPUT = os.dup(1)
#: What python3-bpfcc installs.
_BCC = Path("/usr/lib/python3/dist-packages/bcc")


class _Stream:
    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.file = os.fdopen(_OUTPUT, "w", encoding="utf-8")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write({"started": nodeid})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data: Any = self.config.hook.pytest_report_to_serializable(
            config=self.config, report=report
        )
        self._write({"report": data})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write({"broken": report.nodeid, "why": str(report.longrepr)})

    def _write(self, row: dict[str, Any]) -> None:
        try:
            print(json.dumps(row), file=self.file, flush=True)
        except BrokenPipeError:
            pytest.exit("nobody reads the reports any more")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to write reports."""
    config.pluginmanager.register(_Stream(config), "report-stream")


def main(tests: list[str]) -> int:
    """Run the tests with this file as their plugin."""
    options = ["-p", "tests.support.report_stream", "-p", "no:terminal", "-p", "no:cacheprovider"]
    # The project's own options are for a terminal, which this pytest does not have.
    options += ["-o", "addopts=", "--strict-markers", "--import-mode=importlib"]
    return 1 if pytest.main([*options, *tests]) else 0


def bring_bcc() -> None:
    """Show this Python, and those that it starts, Debian's bcc, and nothing else of Debian's.

    A virtual environment's Python does not see it; the one inside the appliance does.
    """
    if importlib.util.find_spec("bcc") is None and _BCC.is_dir():
        folder = tempfile.mkdtemp(prefix="l2tp-lab-bcc-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        Path(folder, "bcc").symlink_to(_BCC)
        sys.path.append(folder)
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = f"{known}{os.pathsep}{folder}" if known else folder


if __name__ == "__main__":
    bring_bcc()
    sys.exit(main(sys.stdin.read().split("\n")))
