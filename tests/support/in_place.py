"""A pytest plugin: kernel tests run where the driver is, and report as if they ran right here.

The tests marked ``kernel`` go to other pytests (``l2tp-lab shell -- python3 -m …``): inside
appliances, one for each processor of the box, where its kernel lacks the driver, else to a single
one on this kernel as root. Their reports come back one line each and are handed to this pytest's
hooks. What could not run is a skip; with ``CI`` set it is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from typing import Any

import pytest

from lab.doctor.model import Need
from lab.errors import CannotRun
from lab.places.choose import decide
from lab.sudo import ask_for_root
from tests.support.far_run import FarRun
from tests.support.report_stream import module_of

#: Set inside the place: there the tests are simply run.
INSIDE = "L2TP_LAB_INSIDE"
_CANNOT_RUN = 4
#: The machine of the first lab is left running for the next tests, those of the others are not.
LABS = ("test", "test-2", "test-3", "test-4")

#: Builds the command lines of the far pytests, at most as many as there are modules.
Commands = Callable[[pytest.Config, int], list[list[str]]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose the place and the kernel, as on the lab's own command line."""
    group = parser.getgroup("l2tp-lab")
    group.addoption("--place", choices=("here", "appliance"), help="where the kernel tests run")
    group.addoption("--kernel", help="the appliance's kernel: 6.1, 6.12, newest or a path")
    group.addoption(
        "--machines",
        type=int,
        choices=range(1, len(LABS) + 1),
        default=min(os.cpu_count() or 1, len(LABS)),
        help="how many appliances share the kernel tests (default: one a processor, at most 4)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Replace the running of kernel tests, except where the kernel already is."""
    if not os.environ.get(INSIDE):
        config.pluginmanager.register(InPlace(config), "in-place")


class InPlace:
    """Runs the kernel tests of one session through far pytests."""

    def __init__(self, config: pytest.Config, commands: Commands | None = None) -> None:
        self.config = config
        self.commands = commands or far_commands
        self.far: FarRun | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the kernel tests last, so that the quick ones fail first.

        Of those the module with most tests comes first: the last ones should be short, for one
        machine has nothing to do while another ends.
        """
        sizes = Counter(module_of(item.nodeid) for item in items if is_kernel_test(item))
        items.sort(
            key=lambda item: -sizes[module_of(item.nodeid)] if is_kernel_test(item) else -inf
        )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Ask for what the kernel tests will need, while somebody still looks at the terminal."""
        wanted = self.commands is far_commands and any(map(is_kernel_test, session.items))
        if wanted and not self.config.option.collectonly:
            ask_early(self.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Answer for a kernel test with the reports that came back for it."""
        if not is_kernel_test(item):
            return None
        if self.far is None:
            wanted = [one.nodeid for one in item.session.items if is_kernel_test(one)]
            modules = len({module_of(test) for test in wanted})
            self.far = FarRun(self.commands(self.config, modules), wanted)
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
        """End the far pytests with this one, whatever ended it, and the machines made for them."""
        if self.far is not None:
            self.far.stop()
        if self.far is not None and self.commands is far_commands:
            for lab in LABS[1 : self.far.size]:
                stop = [sys.executable, "-m", "lab", "--lab", lab, "appliance", "stop"]
                subprocess.run(stop, check=False, capture_output=True)


def is_kernel_test(item: pytest.Item) -> bool:
    """Tell whether a test needs the real driver."""
    return item.get_closest_marker("kernel") is not None


def far_commands(config: pytest.Config, modules: int) -> list[list[str]]:
    """Build the commands that run tests in the place, each in a lab of its own.

    On this kernel there is one: the kernel's log and its counters belong to all that run here.
    """
    options = [
        word
        for name in ("place", "kernel")
        if (value := config.getoption(name))
        for word in (f"--{name}", value)
    ]
    count = 1 if runs_here(config) else min(config.getoption("machines"), modules)
    return [
        [
            *(sys.executable, "-m", "lab", *options, "--lab", lab, "shell", "--"),
            *("env", f"{INSIDE}=1", "python3", "-m", "tests.support.report_stream"),
        ]
        for lab in LABS[:count]
    ]


def runs_here(config: pytest.Config) -> bool:
    """Tell whether the kernel tests run on this kernel; what cannot run at all does not."""
    try:
        return decide(config.getoption("place")).need is Need.HERE
    except CannotRun:
        return False


def ask_early(config: pytest.Config) -> None:
    """Have sudo ask for its password before the first test, where the kernel tests need it.

    Without a terminal nothing is asked, and the far side says later why it could not run.
    """
    if runs_here(config):
        with suppress(CannotRun):
            ask_for_root("a kernel test on this kernel", ["make", "test"])
