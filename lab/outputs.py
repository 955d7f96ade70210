"""Where output options lead: looked at before anything is begun for them."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import UsageError


def require_folder(option: str, target: Path) -> None:
    """Raise UsageError unless ``target`` is a folder to write to, or can be made one."""
    with _told(option, target):
        nearest = next(path for path in (target, *target.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise UsageError(f"--{option} {target}: {nearest} is a file, and no folder")
        _try(nearest)


def require_file(option: str, target: Path) -> None:
    """Raise UsageError unless ``target`` is a file to be replaced or made, in a folder there is."""
    with _told(option, target):
        if target.is_dir():
            raise UsageError(f"--{option} {target}: this is a folder; name a file in it")
        folder = target.absolute().parent
        if not folder.is_dir():
            cure = shlex.join(["mkdir", "-p", str(folder)])
            raise UsageError(f"--{option} {target}: there is no folder {folder}. Run: {cure}")
        _try(folder)
        if target.exists() and not os.access(target, os.W_OK):
            cure = shlex.join(["rm", "-f", str(target)])
            raise UsageError(
                f"--{option} {target}: you may not write to this file. Run: {cure}; or name another"
            )


def tell_written(target: Path) -> None:
    """Say what was written, and where: much may have scrolled by since it was asked for."""
    from lab.places.choose import INSIDE

    if INSIDE in os.environ:
        return  # it is yet to be fetched, and has another name there
    print(f"wrote {target}", file=sys.stderr, flush=True)


@contextmanager
def handed_over(target: Path) -> Iterator[None]:
    """Give what the block makes to whoever called sudo: they could not remove root's files.

    ``target`` is a file, or a folder with files in it.
    """
    before = set(_all_in(target))
    yield
    owner = [os.environ.get(name, "") for name in ("SUDO_UID", "SUDO_GID")]
    if os.geteuid() == 0 and all(number.isdigit() for number in owner):
        for path in set(_all_in(target)) - before:
            os.chown(path, int(owner[0]), int(owner[1]), follow_symlinks=False)


def _all_in(target: Path) -> Iterator[Path]:
    if target.exists():
        yield target
    if target.is_dir():
        yield from target.iterdir()


def _try(folder: Path) -> None:
    # Root may write everywhere by the modes, and in /proc or on a full disk nevertheless not.
    with tempfile.TemporaryDirectory(prefix=".l2tp-lab-", dir=folder):
        pass


@contextmanager
def _told(option: str, target: Path) -> Iterator[None]:
    """Make a UsageError of what the look itself may meet, such as a folder that is closed to us."""
    try:
        yield
    except OSError as error:
        where = Path(error.filename or target)
        raise UsageError(
            f"--{option} {target}: nothing can be written to "
            f"{where.parent if where.name.startswith('.l2tp-lab-') else where}: {error.strerror}"
        ) from None
