"""Compiled objects, kept from one start to the next.

The key is a digest of everything that the compiler was given, so that an entry
can never be stale; the folder lies in /run and is gone with the boot. What is
read goes into the kernel, so that only a folder and files of our own user, which
nobody else can write, are believed.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from probes.bytecode import FORMAT, Bytecode

FOLDER = Path("/run/l2tp-lab-cache/bpf")


def key_of(source: str, flags: Iterable[str], compiler: str) -> str:
    """Name the object that a compiler makes of source with flags."""
    digest = hashlib.sha256()
    for part in (str(FORMAT), os.uname().machine, compiler, *flags, source):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:32]


def load(key: str, folder: Path = FOLDER) -> Bytecode | None:
    """Give the object kept under key, or None when there is none to be trusted."""
    path = folder / f"{key}.json"
    try:
        if not (_is_ours(folder) and _is_ours(path)):
            return None
        return Bytecode.from_json(path.read_text())
    except (OSError, ValueError):
        return None


def store(key: str, bytecode: Bytecode, folder: Path = FOLDER) -> None:
    """Keep an object under key. A cache that cannot be written only costs time: no error."""
    temporary = folder / f".{key}.{os.getpid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(bytecode.to_json())
            temporary.rename(folder / f"{key}.json")
        finally:
            temporary.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    status = path.lstat()
    return (
        status.st_uid == os.geteuid()
        and not stat.S_ISLNK(status.st_mode)
        and not status.st_mode & 0o022
    )
