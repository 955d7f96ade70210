"""Network namespaces by inode number, and work inside them."""

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_NAMED = Path("/run/netns")
_PROC = Path("/proc")
_OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)

Result = TypeVar("Result")


def find(wanted: set[int] | None = None) -> dict[int, Path]:
    """Find a file for each network namespace that has a name or a process in it.

    wanted: only these inode numbers; None is all. One that has neither is not found.
    """
    found: dict[int, Path] = {}
    for path in _candidates():
        try:
            inode = os.stat(path).st_ino  # noqa: PTH116 - one for each process there is
        except OSError:
            continue  # gone, or not ours to see
        if inode not in found and (wanted is None or inode in wanted):
            found[inode] = Path(path)
            if wanted is not None and len(found) == len(wanted):
                break
    return found


def _candidates() -> Iterator[str]:
    if _NAMED.is_dir():
        yield from map(str, _NAMED.iterdir())
    for name in os.listdir(_PROC):  # noqa: PTH208
        if name.isdigit():
            yield f"{_PROC}/{name}/ns/net"


def inside(path: Path, work: Callable[[], Result]) -> Result:
    """Do work with this thread in the namespace that path names. Raises OSError."""
    before = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            return work()
        finally:
            _setns(before)
    finally:
        os.close(before)


def _setns(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    if _libc.setns(descriptor, _CLONE_NEWNET) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
