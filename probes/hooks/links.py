"""Links that a process leaves to the kernel when it ends, instead of waiting for each to be closed.

Closing the last link to a function waits until no processor can be in its trampoline any more: 0.1
to 0.4 s for each function, one after the other (synchronize_rcu_tasks in ftrace_shutdown,
kernel/trace/ftrace.c). A link that a file of a BPF file system holds too is not waited for: where
the file goes last, a kernel's worker detaches (bpf_link_put, kernel/bpf/syscall.c). Linux 6.1 does
that in the process instead, and it waits there as it would without.

The file system is our own and mounted nowhere, so that nothing of it can be left over.
"""

import ctypes
import os
from collections.abc import Sequence

from probes.hooks.libbpf import pin

# include/uapi/linux/mount.h
_CLOEXEC = 1
_CMD_CREATE = 6


def leave_to_kernel(links: Sequence[int]) -> int:
    """Close links of which the kernel detaches the programs soon; says how many it has taken.

    The others are detached when this returns.
    """
    folder = _folder()
    taken = 0
    for number, link in enumerate(links):
        taken += folder is not None and pin(link, f"/proc/self/fd/{folder}/{number}")
    for link in links:
        os.close(link)
    if folder is not None:
        os.close(folder)  # the last hold
    return taken


def _folder() -> int | None:
    """Make the file system (fsopen(2), fsmount(2)); None where there are no such calls."""
    libc = ctypes.CDLL(None)
    try:
        context = libc.fsopen(b"bpf", _CLOEXEC)
        if context < 0:
            return None
        libc.fsconfig(context, _CMD_CREATE, None, None, 0)
        folder: int = libc.fsmount(context, _CLOEXEC, 0)
        os.close(context)
    except AttributeError:
        return None
    return folder if folder >= 0 else None
