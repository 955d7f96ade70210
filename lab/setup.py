"""Installs what a place needs and the doctor misses, through ``playbooks/host.yml``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

from lab.console import Console
from lab.doctor.capabilities import MODULES, missing
from lab.doctor.kernel import module_state
from lab.doctor.model import Need
from lab.errors import CannotRun


def prepare_box(need: Need, console: Console) -> None:
    """Bring this box to where ``need``'s place can run; do nothing where nothing is missing.

    Says beforehand what will be installed. Raises CannotRun with the exact command to run when
    that needs root and nobody can be asked for it.
    """
    packages = missing_packages(need)
    modules = _unloaded_modules() if need is Need.HERE else []
    if not packages and not modules:
        return
    if packages:
        console.say(f"to install for the place “{need.value}”: {' '.join(packages)}")
    if modules:
        console.say(f"to load for the place “{need.value}”: {' '.join(modules)}")
    if os.geteuid() == 0:
        _install(packages, modules, console)
    else:
        _install_through_sudo(need)


def missing_packages(need: Need) -> list[str]:
    """Name the Debian packages that a place needs and that are not there."""
    rows = missing(need, installable=True)
    return sorted({package for row, _ in rows for package in row.packages})


def _unloaded_modules() -> list[str]:
    return [name for name in MODULES if module_state(name) == "loadable"]


def _install(packages: list[str], modules: list[str], console: Console) -> None:
    from lab.playbooks import run_playbook

    variables = {"packages": packages, "modules": modules}
    with console.steps() as steps:
        run_playbook("host", variables, steps.started, steps.ended)


def _install_through_sudo(need: Need) -> None:
    command = [sys.executable, "-m", "lab", "--place", need.value, "setup"]
    # A folder of PATH may be closed to us, so sudo is looked for, not tried.
    sudo = shutil.which("sudo")
    if sudo is None:
        raise CannotRun(
            f"installing needs root, and this box has no sudo. Run as root: {shlex.join(command)}"
        )
    if not sys.stdin.isatty() and not _asks_no_password(sudo):
        raise CannotRun(
            "installing needs root, and there is no terminal for sudo to ask on. "
            f"Run: sudo {shlex.join(command)}"
        )
    # sudo asks for its password on the terminal itself; nothing here ever sees it.
    done = subprocess.run([sudo, *command], check=False)
    if done.returncode != 0:
        raise CannotRun(f"the set-up ended with code {done.returncode}: see above")


def _asks_no_password(sudo: str) -> bool:
    done = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False)
    return done.returncode == 0
