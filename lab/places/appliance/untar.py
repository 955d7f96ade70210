"""Unpacks what a guest sends, which is not trusted."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO

from lab.errors import LabError


def unpack(stream: IO[bytes], target: Path) -> None:
    """Unpack what a guest sends: a folder's contents, or one file under the name ".".

    Only plain files and folders are made, and only below ``target``: a guest is not trusted.
    Raises LabError for a path that leads elsewhere.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                path = _inside(target, member.name)
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                elif member.isfile() and (source := tar.extractfile(member)):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with path.open("wb") as file:
                        shutil.copyfileobj(source, file)
    except tarfile.ReadError:
        # An empty stream: whoever sent it says why with its exit code.
        return


def _inside(target: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise LabError(f"the appliance sent a file that leads out of {target}: {name}")
    return target / path
