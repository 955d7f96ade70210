"""A pytest plugin: kernel tests run where the driver is, and report as if they ran right here.

The tests marked ``kernel`` go to one other pytest (``l2tp-lab shell -- python3 -m …``): inside the
appliance on a box whose kernel lacks the driver, else on this kernel as root. Its reports come back
one line each and are handed to this pytest's hooks. What could not run is a skip; with ``CI`` set
it is a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from lab.doctor.model import Need
from lab.errors import CannotRun
from lab.places.choose import decide
from lab.sudo import ask_for_root

#: Set inside the place: there the tests are simply run.
INSIDE = "L2TP_LAB_INSIDE"
_CANNOT_RUN = 4
#: How long the test that is running when we stop may take to come to its end.
_PATIENCE_S = 30.0

#: Builds the command line of the far pytest, which reads the tests' node ids from its input.
Command = Callable[[pytest.Config], list[str]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose the place and the kernel, as on the lab's own command line."""
    group = parser.getgroup("l2tp-lab")
    group.addoption("--place", choices=("here", "appliance"), help="where the kernel tests run")
    group.addoption("--kernel", help="the appliance's kernel: 6.1, 6.12, newest or a path")


def pytest_configure(config: pytest.Config) -> None:
    """Replace the running of kernel tests, except where the kernel already is."""
    if not os.environ.get(INSIDE):
        config.pluginmanager.register(InPlace(config), "in-place")


class InPlace:
    """Runs the kernel tests of one session through one far pytest."""

    def __init__(self, config: pytest.Config, command: Command | None = None) -> None:
        self.config = config
        self.command = command or far_command
        self.far: FarRun | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the kernel tests last, so that the quick ones fail first."""
        items.sort(key=is_kernel_test)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Ask for what the kernel tests will need, while somebody still looks at the terminal."""
        wanted = self.command is far_command and any(map(is_kernel_test, session.items))
        if wanted and not self.config.option.collectonly:
            ask_early(self.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Answer for a kernel test with the reports that came back for it."""
        if not is_kernel_test(item):
            return None
        if self.far is None:
            wanted = [one.nodeid for one in item.session.items if is_kernel_test(one)]
            self.far = FarRun(self.command(self.config), wanted)
        hooks = item.ihook
        hooks.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item):
            hooks.pytest_runtest_logreport(report=report)
        hooks.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _reports(self, item: pytest.Item) -> Iterable[pytest.TestReport]:
        assert self.far is not None
        reports = [
            self.config.hook.pytest_report_from_serializable(config=self.config, data=row)
            for row in self.far.reports_of(item.nodeid)
        ]
        # A test that crashed its pytest has a set-up that passed, and nothing after that.
        if not self.far.has_ended(item.nodeid):
            reports.append(self._without_report(item, self.far))
        return reports

    def _without_report(self, item: pytest.Item, far: FarRun) -> pytest.TestReport:
        why = far.explain(item.nodeid)
        may_skip = far.exit_code == _CANNOT_RUN and not os.environ.get("CI")
        path, line, _ = item.location
        longrepr: Any = (str(path), line or 0, f"could not run here: {why}") if may_skip else why
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="skipped" if may_skip else "failed",
            longrepr=longrepr,
            when="call",
        )

    def pytest_sessionfinish(self) -> None:
        """End the far pytest with this one, whatever ended it."""
        if self.far is not None:
            self.far.stop()


def is_kernel_test(item: pytest.Item) -> bool:
    """Tell whether a test needs the real driver."""
    return item.get_closest_marker("kernel") is not None


def far_command(config: pytest.Config) -> list[str]:
    """Build the command that runs tests in the place, in a lab of their own."""
    options = [
        word
        for name in ("place", "kernel")
        if (value := config.getoption(name))
        for word in (f"--{name}", value)
    ]
    return [
        *(sys.executable, "-m", "lab", *options, "--lab", "test", "shell", "--"),
        *("env", f"{INSIDE}=1", "python3", "-m", "tests.support.report_stream"),
    ]


def ask_early(config: pytest.Config) -> None:
    """Have sudo ask for its password before the first test, where the kernel tests need it.

    Without a terminal nothing is asked, and the far side says later why it could not run.
    """
    try:
        if decide(config.getoption("place")).need is Need.HERE:
            ask_for_root("a kernel test on this kernel", ["make", "test"])
    except CannotRun:
        pass


class FarRun:
    """One pytest somewhere else: its reports by test, as they come in."""

    def __init__(self, command: list[str], wanted: list[str]) -> None:
        self.exit_code: int | None = None
        self._rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._said: list[str] = []
        # By its input, because a command line that goes over SSH must be short.
        tests = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as the process)
        tests.write("\n".join(wanted))
        tests.seek(0)
        self._process = subprocess.Popen(
            command,
            stdin=tests,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def reports_of(self, nodeid: str) -> list[dict[str, Any]]:
        """Wait for a test's reports; an empty list when it ended without any."""
        while not self.has_ended(nodeid):
            line = self._process.stdout.readline() if self._process.stdout else ""
            if not line:
                self.exit_code = self._process.wait()
                break
            self._take(line)
        return self._rows[nodeid]

    def has_ended(self, nodeid: str) -> bool:
        """Tell whether a test came to its end, tear-down included."""
        return any(row["when"] == "teardown" for row in self._rows[nodeid])

    def _take(self, line: str) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict) and "report" in row:
            self._rows[row["report"]["nodeid"]].append(row["report"])
        elif isinstance(row, dict) and "broken" in row:
            self._said.append(f"{row['broken']}: {row['why']}")
        elif not (isinstance(row, dict) and "started" in row):
            self._said.append(line.rstrip())

    def explain(self, nodeid: str) -> str:
        """Say why there is no report for a test."""
        said = "\n".join(self._said[-30:])
        return f"{nodeid} gave no report; its pytest ended with code {self.exit_code}:\n{said}"

    def stop(self) -> None:
        """End the far pytest if it still runs."""
        # Where sudo stands between, no signal of ours reaches it. But it ends, with its fixtures
        # torn down, as soon as it finds that nobody reads its reports any more.
        if self._process.stdout:
            self._process.stdout.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()
