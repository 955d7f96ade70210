"""The few system calls that Python's standard library does not offer, through the C library.

``socket.connect`` cannot build an AF_PPPOX address, and ``os.unshare`` came only with Python
3.12. Each function raises OSError with the call's errno.
"""

import ctypes
import os
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x0002_0000
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_SLAVE: Final = 0x8_0000
PR_SET_PDEATHSIG: Final = 1

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def connect(fd: int, address: bytes) -> None:
    """Connect the socket ``fd`` to a socket address given as its bytes (connect(2))."""
    _check(_libc.connect(fd, address, len(address)))


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags`` for new ones (unshare(2))."""
    _check(_libc.unshare(flags))


def mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount ``source`` on ``target`` (mount(2)); ``kind`` None for bind mounts and changes."""
    _check(
        _libc.mount(
            source.encode(),
            os.fsencode(target),
            None if kind is None else kind.encode(),
            ctypes.c_ulong(flags),
            None if data is None else data.encode(),
        )
    )


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process ``signal_number`` when its parent ends (prctl(2)).

    The wish survives an exec as root, a set-user-ID program included, for root gains nothing by it
    (``security/commoncap.c: cap_bprm_creds_from_file``).
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0))
