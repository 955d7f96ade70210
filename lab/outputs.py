"""Where output options lead: looked at before anything is begun for them."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path

from lab.errors import UsageError


def require_folder(option: str, target: Path) -> None:
    """Raise UsageError unless ``target`` is a folder to write to, or can be made one."""
    nearest = next(path for path in (target, *target.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise UsageError(f"--{option} {target}: {nearest} is a file, and no folder")
    _try(option, target, nearest)


def require_file(option: str, target: Path) -> None:
    """Raise UsageError unless ``target`` is a file to be replaced or made, in a folder there is."""
    if target.is_dir():
        raise UsageError(f"--{option} {target}: this is a folder; name a file in it")
    folder = target.absolute().parent
    if not folder.is_dir():
        cure = shlex.join(["mkdir", "-p", str(folder)])
        raise UsageError(f"--{option} {target}: there is no folder {folder}. Run: {cure}")
    _try(option, target, folder)


def tell_written(target: Path) -> None:
    """Say what was written, and where: much may have scrolled by since it was asked for."""
    from lab.places.choose import INSIDE

    if INSIDE in os.environ:
        return  # it is yet to be fetched, and has another name there
    print(f"wrote {target}", file=sys.stderr, flush=True)


def _try(option: str, target: Path, folder: Path) -> None:
    # Root may write everywhere by the modes, and in /proc or on a full disk nevertheless not.
    try:
        with tempfile.TemporaryDirectory(prefix=".l2tp-lab-", dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"--{option} {target}: nothing can be written to {folder}: {error.strerror}"
        ) from None
