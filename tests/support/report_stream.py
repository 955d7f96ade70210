"""The far side of ``in_place``: a pytest that writes each report as one JSON line.

``python3 -m tests.support.report_stream`` reads the tests, one a line, up to an empty line, and
collects them. It then says that it is idle, runs the tests of the module that the next line names,
and so on until its input ends. Its output carries nothing but such rows. The exit code is 0 or 1:
pytest's own 4 (wrong usage) would read as “could not run here”.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import pytest

#: What python3-bpfcc installs.
_BCC = Path("/usr/lib/python3/dist-packages/bcc")


class Stream:
    """Reads which tests to run, and writes what came of them."""

    def __init__(self, source: TextIO, target: TextIO) -> None:
        self.source = source
        self.target = target
        self.config: pytest.Config

    def wanted(self) -> list[str]:
        """Read the tests, up to an empty line."""
        return list(iter(lambda: self.source.readline().rstrip("\n"), ""))

    def pytest_configure(self, config: pytest.Config) -> None:
        """Keep what turns reports into rows."""
        self.config = config

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the modules that the input names, one after the other."""
        if session.testsfailed:
            raise session.Interrupted("not every test could be collected")
        modules: dict[str, list[pytest.Item]] = {}
        for item in session.items:
            modules.setdefault(module_of(item.nodeid), []).append(item)
        while True:
            self._write({"idle": True})
            if not (name := self.source.readline().rstrip("\n")):
                return True
            for item, following in pairwise([*modules.get(name, ()), None]):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)  # type: ignore[union-attr]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say that a test begins."""
        self._write({"started": nodeid})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send a report."""
        data: Any = self.config.hook.pytest_report_to_serializable(
            config=self.config, report=report
        )
        self._write({"report": data})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Say what could not be collected."""
        if report.failed:
            self._write({"broken": report.nodeid, "why": str(report.longrepr)})

    def _write(self, row: dict[str, Any]) -> None:
        try:
            print(json.dumps(row), file=self.target, flush=True)
        except BrokenPipeError:
            pytest.exit("nobody reads the reports any more")


def module_of(nodeid: str) -> str:
    """Return the file that a test is in."""
    return nodeid.partition("::")[0]


def main() -> int:
    """Run the tests through a stream over copies of the standard ones, which pytest replaces."""
    stream = Stream(os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", encoding="utf-8"))
    options = ["-p", "no:terminal", "-p", "no:cacheprovider"]
    # The project's own options are for a terminal, which this pytest does not have.
    options += ["-o", "addopts=", "--strict-markers", "--import-mode=importlib"]
    return 1 if pytest.main([*options, *stream.wanted()], plugins=[stream]) else 0


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
    sys.exit(main())
