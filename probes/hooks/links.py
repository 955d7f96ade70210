"""Links that a process leaves to the kernel when it ends, instead of waiting for each to be closed.

Closing the last link to a function waits until no processor can be in its trampoline any more: 0.1
to 0.4 s for each function, one after the other (synchronize_rcu_tasks in ftrace_shutdown,
kernel/trace/ftrace.c). A link that a file of a BPF file system holds too is not waited for: where
the file goes last, a kernel's worker detaches (bpf_link_put_deferred, kernel/bpf/syscall.c).

The file system is our own and mounted nowhere, so that it, and all links with it, goes with the
process at the latest: also when that is killed.
"""

import ctypes
import functools
import itertools
import os

from probes.hooks.libbpf import pin

# include/uapi/linux/mount.h
_CLOEXEC = 1
_CMD_CREATE = 6

_left_to_kernel = False
_numbers = itertools.count()
#: The file of each link that has one, by its descriptor.
_files: dict[int, str] = {}


def leave_to_kernel() -> None:
    """Have every link that is held from now on detached by the kernel, soon after it is let go."""
    global _left_to_kernel
    _left_to_kernel = True


def hold(link: int) -> None:
    """Take in a link that was made; where links are not left to the kernel, nothing happens."""
    folder = _folder() if _left_to_kernel else None
    if folder is not None:
        file = f"/proc/self/fd/{folder}/{next(_numbers)}"
        if pin(link, file):
            _files[link] = file


def let_go(link: int) -> None:
    """Close a link: detached when this returns, or soon where that is left to the kernel."""
    file = _files.pop(link, None)
    os.close(link)
    if file is not None:  # after the descriptor, so that the file's is the last hold
        os.unlink(file)  # noqa: PTH108 - pathlib is not imported for it


@functools.cache
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
