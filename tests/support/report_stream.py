"""The far side of ``in_place``: a pytest plugin that writes each report as one JSON line.

Loaded inside the appliance with ``-p tests.support.report_stream``, together with
``-p no:terminal``, so that standard output carries nothing else.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

#: A copy of standard output: this module is imported before pytest's capture replaces it.
_OUTPUT = os.dup(1)


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
        print(json.dumps(row), file=self.file, flush=True)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to write reports."""
    config.pluginmanager.register(_Stream(config), "report-stream")
