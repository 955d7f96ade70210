"""Installs what a place needs and the doctor misses, through ``playbooks/host.yml``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from lab.console import Console
from lab.doctor.capabilities import MODULES, missing
from lab.doctor.kernel import module_state
from lab.doctor.model import Need
from lab.errors import CannotRun
from lab.sudo import ask_for_root, l2tp_lab, run_as_root

#: What Ansible's apt module imports, of Debian's package python3-apt.
_ANSIBLES_APT = Path("/usr/lib/python3/dist-packages/apt")


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
    packages = {package for row, _ in rows for package in row.packages}
    if packages and not _ANSIBLES_APT.exists():
        # Ansible brings it by itself where it has something to install; so it is to be named too.
        packages.add("python3-apt")
    return sorted(packages)


def _unloaded_modules() -> list[str]:
    return [name for name in MODULES if module_state(name) == "loadable"]


def _install(packages: list[str], modules: list[str], console: Console) -> None:
    from lab.playbooks import PlaybookFailed, run_playbook

    variables = {"packages": packages, "modules": modules}
    try:
        with console.steps() as steps:
            run_playbook("host", variables, steps.started, steps.ended, can_stop=False)
    except PlaybookFailed as error:
        lines = [["apt-get", "install", "--no-install-recommends", *packages]] if packages else []
        lines += [["modprobe", "--all", *modules]] if modules else []
        by_hand = " && ".join(shlex.join(line) for line in lines)
        raise CannotRun(
            f"{error}. Check the network and apt's sources, then run it again; "
            f"or as root: {by_hand}"
        ) from error


def _install_through_sudo(need: Need) -> None:
    words = ["--place", need.value, "setup"]
    sudo = ask_for_root("installing", l2tp_lab(words))
    code = run_as_root(sudo, words)
    if code != 0:
        raise CannotRun(f"the set-up ended with code {code}: see above")
