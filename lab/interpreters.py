"""Which Python runs what: bcc is built for Debian's own interpreter only."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

#: The interpreter that python3-bpfcc is built for, whatever ``python3`` on PATH may be.
DEBIAN_PYTHON = "/usr/bin/python3"

#: In the appliance: what starts a module of the project in a process that has it imported already.
WARM_PYTHON = "/usr/lib/l2tp-lab/python"

#: The environment variable that names the interpreter of everything that a lab starts.
CHOICE = "L2TP_LAB_PYTHON"

#: The environment variable that carries ``path_line`` to where a command runs.
PATH_LINE = "L2TP_LAB_PATH_LINE"

#: The folder that holds ``lab``, ``l2tp`` and ``probes``.
PROJECT = Path(__file__).resolve().parent.parent


def daemon_python() -> str:
    """Name the program that runs the daemons: the one chosen in the environment, or our own."""
    return os.environ.get(CHOICE) or sys.executable


def tracer_python() -> str:
    """Name the program that runs the tracer: the one chosen in the environment, or Debian's."""
    return os.environ.get(CHOICE) or DEBIAN_PYTHON


def environment() -> dict[str, str]:
    """Return this process's environment, with the project importable from any folder."""
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{PROJECT}:{path}" if path else str(PROJECT)}


def search_path() -> str:
    """Return PATH with this interpreter's folder in it: l2tp-lab, and a python3 that knows it."""
    ours = str(Path(sys.executable).parent)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folders if ours in folders else [ours, *folders])


def path_line() -> str:
    """Return what to paste so that the user's shell finds l2tp-lab; nothing where it does."""
    known = os.environ.get(PATH_LINE)
    if known is not None:
        return known
    return "" if shutil.which("l2tp-lab") else f'export PATH="{Path(sys.executable).parent}:$PATH"'
