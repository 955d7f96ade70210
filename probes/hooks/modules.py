"""Kernel modules: what is loaded, what could be, and loading the driver."""

import os
from pathlib import Path

from probes.errors import CannotRunHereError
from probes.hooks.spec import MODULE, MODULE_TO_LOAD


def is_loaded(name: str, sys_module: Path = Path("/sys/module")) -> bool:
    """Say whether a module is in the kernel, loaded or built in."""
    return (sys_module / name).is_dir()


def is_loadable(name: str, folder: Path | None = None) -> bool:
    """Say whether the running kernel's modules include it.

    folder: instead of /lib/modules/RELEASE, for tests.
    """
    folder = folder or Path("/lib/modules") / os.uname().release
    wanted = f"/{name}.ko"
    for index in ("modules.dep", "modules.builtin"):
        try:
            text = (folder / index).read_text()
        except OSError:
            continue
        if any(wanted in line.partition(":")[0] for line in text.splitlines()):
            return True
    return False


def load_driver() -> None:
    """Bring the L2TP driver into the kernel: a function that is not there cannot be watched.

    Raises CannotRunHereError when it cannot be loaded.
    """
    if is_loaded(MODULE):
        return
    import subprocess  # only now: the driver is loaded already where a lab runs

    try:
        done = subprocess.run(
            ["modprobe", MODULE_TO_LOAD], capture_output=True, text=True, check=False
        )
        said = done.stderr.strip()
    except OSError as error:
        said = f"modprobe: {error.strerror}"
    if not is_loaded(MODULE):
        raise CannotRunHereError(
            f"the kernel's L2TP driver is not loaded, and cannot be: {said or 'no reason given'}",
            f"Take a kernel that has it (`modinfo {MODULE_TO_LOAD}`); linux-image-cloud-* lacks"
            f" PPP. In a container, run `modprobe {MODULE_TO_LOAD}` outside.",
        )
