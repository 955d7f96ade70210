"""Compiled objects, kept from one start to the next.

An entry holds all that the compiler was given, and counts only for exactly
that: it can never be stale. A lab keeps its own, in its folder, and loses it
with that; what was prepared for everybody lies in /run until the boot.
What is read goes into the kernel, so that only a folder and files of our own
user, which nobody else can write, are believed.
"""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from probes.hooks.bytecode import Bytecode

# What `prepare` fills, and everybody finds.
FOLDER = Path("/run/l2tp-lab-cache/bpf")


def made_from(source: str, flags: Sequence[str], compiler: str) -> str:
    """Put into one text everything that decides what a compiler makes."""
    return "\n".join((compiler, os.uname().machine, *flags, source))


def load(name: str, made_from: str, folder: Path = FOLDER) -> Bytecode | None:
    """Give the object kept under name, in the folder or for everybody, if it was made from that."""
    for place in (folder, FOLDER):
        path = place / f"{name}.json"
        try:
            if _is_ours(place) and _is_ours(path):
                found = Bytecode.from_json(path.read_text(), made_from)
                if found is not None:
                    return found
        except (OSError, ValueError):
            continue
    return None


def store(name: str, made_from: str, bytecode: Bytecode, folder: Path = FOLDER) -> None:
    """Keep an object under name. A cache that cannot be written only costs time: no error."""
    temporary = folder / f".{name}.{os.getpid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(bytecode.to_json(made_from))
            temporary.rename(folder / f"{name}.json")
        finally:
            temporary.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    status = path.lstat()
    return (
        status.st_uid == os.geteuid()
        and not stat.S_ISLNK(status.st_mode)
        and not status.st_mode & 0o022
    )
