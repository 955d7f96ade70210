"""This checkout's code in a machine: only what changed travels.

Files keep their times, so that the compiled files which the guest's Python wrote for the others
stay valid: nothing is compiled twice under emulation.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab.interpreters import PROJECT

#: What the guest gets of a checkout.
PARTS = ("l2tp", "lab", "probes", "tests", "playbooks", "pyproject.toml")

_LEFT_OUT = ("__pycache__", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache")
_REMOVED = ".removed"


def read_tree(project: Path = PROJECT) -> dict[str, str]:
    """Return every file that the guest gets: its path below ``project``, and a hash of it.

    The hash covers the contents, whether the file may be executed, and its time.
    """
    return {str(path.relative_to(project)): _digest(path) for path in _files(project)}


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


def _files(project: Path) -> Iterator[Path]:
    for part in PARTS:
        top = project / part
        if top.is_file():
            yield top
        for path in sorted(top.rglob("*")):
            if path.is_file() and not set(path.relative_to(project).parts).intersection(_LEFT_OUT):
                yield path


def _digest(path: Path) -> str:
    status = path.stat()
    head = f"{status.st_mode & 0o100:o} {int(status.st_mtime)}\n".encode()
    return hashlib.sha256(head + path.read_bytes()).hexdigest()


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
