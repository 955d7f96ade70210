"""Calls and numbers of the kernel that Python's library lacks."""

from __future__ import annotations

import ctypes
import os

# include/uapi/linux/prctl.h, include/uapi/linux/sched.h
PR_SET_PDEATHSIG = 1
PR_SET_MM = 35
PR_SET_MM_ARG_START, PR_SET_MM_ARG_END, PR_SET_MM_ENV_START, PR_SET_MM_ENV_END = 8, 9, 10, 11
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
#: include/uapi/asm-generic/unistd.h: the same number on every architecture.
SYS_PIDFD_GETFD = 438

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    """Raise what libc's last call failed with."""
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
