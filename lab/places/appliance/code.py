"""This checkout's code in a machine: only what changed travels.

Files keep their times, so that the compiled files which the guest's Python wrote for the others
stay valid: nothing is compiled twice under emulation.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab.interpreters import PROJECT

#: What the guest gets of a checkout.
PARTS = ("l2tp", "lab", "probes", "tests", "playbooks", "pyproject.toml")

#: The guest's own files. What lies in ``TOOLS`` is not copied: in the guest, ``/usr/lib/l2tp-lab``
#: leads to that folder of the project's code, which is brought up to date before each command.
GUEST = Path(__file__).parent / "guest" / "image"
TOOLS = GUEST / "usr" / "lib" / "l2tp-lab"

_LEFT_OUT = ("__pycache__", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache")
_REMOVED = ".removed"


def read_tree(project: Path = PROJECT) -> dict[str, str]:
    """Return every file that the guest gets: its path below ``project``, and a hash of it.

    The hash covers the contents, whether the file may be executed, and its time.
    """
    beginning = len(f"{project}/")
    return {path[beginning:]: _digest(path) for path in _files(project)}


def pack(tree: Mapping[str, str], there: Mapping[str, str], project: Path = PROJECT) -> bytes:
    """Return a tar that turns the tree ``there`` into ``tree``; empty when nothing differs."""
    changed = sorted(name for name, digest in tree.items() if there.get(name) != digest)
    removed = sorted(there.keys() - tree.keys())
    if not changed and not removed:
        return b""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in changed:
            tar.add(project / name, name, filter=_plain)
        if removed:
            listing = b"".join(name.encode() + b"\0" for name in removed)
            member = tarfile.TarInfo(_REMOVED)
            member.size = len(listing)
            tar.addfile(member, io.BytesIO(listing))
    return buffer.getvalue()


# With os, since each command waits for this: pathlib takes twice as long over a thousand files.
def _files(project: Path) -> Iterator[str]:
    for part in PARTS:
        top = project / part
        if top.is_dir():
            yield from _files_in(str(top))
        elif top.is_file():
            yield str(top)


def _files_in(folder: str) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name in _LEFT_OUT:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files_in(entry.path)
        elif entry.is_file():
            yield entry.path


def _digest(path: str) -> str:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        status = os.fstat(file.fileno())
        head = f"{status.st_mode & 0o100:o} {int(status.st_mtime)}\n".encode()
        return hashlib.sha256(head + file.read()).hexdigest()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
