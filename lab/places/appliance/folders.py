"""Making a folder of the cache whole or not at all, under a lock."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lab.errors import CannotRun
from lab.places.base import Progress

_MIB = 1024 * 1024


@contextmanager
def locked(path: Path, what: str, progress: Progress) -> Iterator[None]:
    """Hold a lock between processes; say what is waited for when somebody else holds it.

    ``what`` is what the lock keeps for one at a time; what the other does with it is not known.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except PermissionError as error:
        raise CannotRun(
            f"{path} belongs to somebody else. Remove that cache, or let L2TP_LAB_CACHE name a "
            "folder of your own"
        ) from error
    except Timeout:
        progress.say(f"waiting until another command has done with {what} (lock {path})")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def new_folder(target: Path, needed_mib: int, what: str) -> Iterator[Path]:
    """Yield an empty folder that becomes ``target`` when the block succeeds, and vanishes else.

    Raises CannotRun when the disk has less than ``needed_mib`` left, beforehand or on the way.
    """
    parent = target.parent
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target)
    require_space(parent, needed_mib, what)
    work = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=parent))
    try:
        yield work
        replace_folder(work, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space(parent, needed_mib, what) from error
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def replace_folder(work: Path, target: Path) -> None:
    """Put ``work`` in the place of ``target``; a machine that uses the old one keeps its files."""
    work.chmod(0o700)
    old = Path(tempfile.mkdtemp(prefix=f"{target.name}.old-", dir=target.parent))
    if target.exists():
        target.rename(old / target.name)
    work.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(target: Path) -> None:
    """Remove what earlier runs that were killed left beside ``target``. Call it under the lock."""
    for pattern in (f"{target.name}.new-*", f"{target.name}.old-*"):
        for leftover in target.parent.glob(pattern):
            shutil.rmtree(leftover, ignore_errors=True)


def require_space(folder: Path, needed_mib: int, what: str) -> None:
    """Raise CannotRun unless the folder's disk has the space."""
    if shutil.disk_usage(folder).free < needed_mib * _MIB:
        raise no_space(folder, needed_mib, what)


def no_space(folder: Path, needed_mib: int, what: str) -> CannotRun:
    """Tell that a disk is full, and how to cure it."""
    free_mib = shutil.disk_usage(folder).free // _MIB
    return CannotRun(
        f"{what} needs {needed_mib} MB in {folder}, and {free_mib} MB are free there. "
        "Free some space, or let L2TP_LAB_CACHE name a folder on a larger disk"
    )


def scratch_folder() -> Path:
    """Return where mmdebstrap may unpack: open to its unprivileged users, and on a disk.

    Raises CannotRun where there is no such folder.
    """
    folder = Path(os.environ.get("TMPDIR") or "/var/tmp")
    if not folder.is_dir():
        raise CannotRun(f"TMPDIR={folder} is no folder. Run: unset TMPDIR")
    return folder
