"""Network namespaces by file descriptor: make one that has no name, enter one, name one, know one.

Only what Python's standard library lacks before 3.12 (``unshare``, ``setns``) or altogether
(``mount``) comes from libc. Entering happens in a thread of its own, so that no caller ever finds
itself in the wrong namespace.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

FOLDER = Path("/run/netns")
"""Where ``ip netns`` keeps its names."""

# include/uapi/linux/sched.h, include/uapi/linux/mount.h, include/uapi/asm-generic/socket.h
CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MS_REC = 16384
MS_SHARED = 1 << 20
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
SO_NETNS_COOKIE = 71

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def in_thread(work: Callable[[], Result]) -> Result:
    """Run ``work`` in a thread of its own and give its result, or raise its exception."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def in_netns(handle: int, work: Callable[[], Result]) -> Result:
    """Run ``work`` inside the namespace of ``handle``; what it starts is born there too."""

    def enter() -> Result:
        _check(_libc.setns(handle, CLONE_NEWNET), "setns")
        return work()

    return in_thread(enter)


def new_netns() -> int:
    """Make a namespace without a name; it goes away when the returned descriptor is closed."""

    def make() -> int:
        _check(_libc.unshare(CLONE_NEWNET), "unshare")
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return in_thread(make)


def netns_cookie(handle: int) -> int | None:
    """Give the number that the kernel gives to one namespace only, as long as it is booted.

    An inode number is given again once its namespace is gone; the cookie never is. None where
    the kernel has no SO_NETNS_COOKIE (before 5.14).
    """

    def ask() -> int | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                cookie = probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
            except OSError:
                return None
        return int.from_bytes(cookie, "little" if _LITTLE else "big")

    return in_netns(handle, ask)


_LITTLE = memoryview(b"\x01\x00").cast("H")[0] == 1


def bind_netns(handle: int, path: Path) -> None:
    """Mount the namespace of ``handle`` on the file ``path``, which gives it that name."""
    source = f"/proc/self/fd/{handle}".encode()
    _check(_libc.mount(source, bytes(path), b"none", MS_BIND, None), f"mount {path}")


def share_folder(path: Path) -> bool:
    """Make ``path`` a shared mount as ``ip netns add`` does; True when a mount had to be made.

    Without it the first ``ip netns add`` by anybody would mount the folder over itself, and hide
    the names in it from us (iproute2, ip/ipnetns.c: netns_add).
    """
    if _libc.mount(b"none", bytes(path), b"none", MS_SHARED | MS_REC, None) == 0:
        return False
    _check(_libc.mount(bytes(path), bytes(path), b"none", MS_BIND | MS_REC, None), f"mount {path}")
    _check(_libc.mount(b"none", bytes(path), b"none", MS_SHARED | MS_REC, None), f"mount {path}")
    return True


def unmount(path: Path) -> None:
    """Take the topmost mount off ``path``, at once even while somebody is inside."""
    _check(_libc.umount2(bytes(path), MNT_DETACH | UMOUNT_NOFOLLOW), f"umount {path}")


def is_netns(handle: int) -> bool:
    """Tell whether a descriptor is a namespace (a file of nsfs) rather than an ordinary file."""
    return os.fstat(handle).st_dev == Path("/proc/self/ns/net").stat().st_dev
