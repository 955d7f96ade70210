"""Which Python runs what: bcc is built for Debian's own interpreter only."""

from __future__ import annotations

import os
from pathlib import Path

#: The interpreter that python3-bpfcc is built for, whatever ``python3`` on PATH may be.
DEBIAN_PYTHON = "/usr/bin/python3"

#: The folder that holds ``lab``, ``l2tp`` and ``probes``.
PROJECT = Path(__file__).resolve().parent.parent


def environment() -> dict[str, str]:
    """Return this process's environment, with the project importable from any folder."""
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{PROJECT}:{path}" if path else str(PROJECT)}
