"""A private view of the file system for one daemon and its children.

pppd has fixed global paths: /etc/ppp for options, secrets and scripts, /run (or /run/pppd) for
its pid files and its database. In a mount namespace of its own the daemon lays its folders over
them, so that two daemons do not collide and the box's own pppd is neither read nor written. The
mounts vanish with the last process of the namespace, however it ends.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from l2tp.kernel import libc
from l2tp.kernel.errors import refusal
from l2tp.protocol.errors import KernelError

_RUN: Final = Path("/run")
_ETC_PPP: Final = Path("/etc/ppp")
_QUIET: Final = libc.MS_NOSUID | libc.MS_NODEV


def enter_private_mounts(ppp_folder: Path, kept_folder: Path) -> None:
    """Move this process into a mount namespace where /etc/ppp and /run are its own.

    ``ppp_folder`` appears as /etc/ppp; of /run see ``enter_covered``. Raises KernelError.
    """
    if not _ETC_PPP.is_dir():
        raise KernelError(f"mount on {_ETC_PPP}", 2, cure="Install pppd: apt-get install ppp")
    enter_covered({_ETC_PPP: ppp_folder}, kept_folder)
    _cover_user_options()


def enter_covered(folders: Mapping[Path, Path], kept_folder: Path) -> None:
    """Move this process into a mount namespace with folders of its own over those of the box.

    ``folders`` maps what is covered (where it exists) to what appears there. /run is empty but for
    ``kept_folder``, which stays the same folder as outside, so that sockets made in it are
    reachable from there. Call it before any thread or child exists. Raises KernelError.
    """
    try:
        libc.unshare(libc.CLONE_NEWNS)
    except OSError as error:
        raise refusal("unshare", error) from error
    # Nothing that we mount may propagate out; what the box unmounts may propagate in.
    _mount("none", Path("/"), None, libc.MS_REC | libc.MS_SLAVE)
    for place, folder in folders.items():
        if place.is_dir():
            _mount(str(folder), place, None, libc.MS_BIND)
            # /run is mounted noexec on many boxes, and pppd executes its scripts here.
            _mount("none", place, None, libc.MS_REMOUNT | libc.MS_BIND | _QUIET)
    _cover_run(kept_folder)


def _cover_run(kept_folder: Path) -> None:
    kept = os.open(kept_folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _mount("tmpfs", _RUN, "tmpfs", _QUIET, "mode=0755,size=4m")
        (_RUN / "pppd").mkdir()
        inside = kept_folder.resolve()
        if inside.is_relative_to(_RUN):
            inside.mkdir(parents=True)
            _mount(f"/proc/self/fd/{kept}", inside, None, libc.MS_BIND)
    finally:
        os.close(kept)


def _cover_user_options() -> None:
    """Hide root's ~/.ppprc, which pppd would read."""
    path = Path("/root/.ppprc")
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return
    if regular:
        _mount("/dev/null", path, None, libc.MS_BIND)


def _mount(
    source: str, target: Path, kind: str | None, flags: int, data: str | None = None
) -> None:
    try:
        libc.mount(source, target, kind, flags, data)
    except OSError as error:
        raise refusal("mount", error, f"on {target}") from error
