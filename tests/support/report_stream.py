"""The far side of ``in_place``: a pytest plugin that writes each report as one JSON line.

Loaded inside the appliance with ``-p tests.support.report_stream``, together with
``-p no:terminal``, so that standard output carries nothing else.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest


class _Stream:
    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        # A copy of standard output, taken before pytest's capture replaces it for the tests.
        self.file = os.fdopen(os.dup(1), "w", encoding="utf-8")

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
        print(json.dumps(row), file=self.file, flush=True)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Take hold of standard output before anything is captured."""
    early_config.pluginmanager.register(_Stream(early_config), "report-stream")
