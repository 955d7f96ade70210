"""The kernel's own measurement of what BPF programs cost, on for as long as it is asked for.

BPF_ENABLE_STATS (kernel/bpf/syscall.c: bpf_enable_stats) gives a file descriptor and measures
until that is closed, at the latest with the process: the setting kernel.bpf_stats_enabled, which
is everybody's, is not touched. Measuring costs two readings of the clock a run.
"""

import ctypes
import os

_BPF_ENABLE_STATS = 32
_BPF_STATS_RUN_TIME = 0
# asm/unistd.h: __NR_bpf
_SYSTEM_CALLS = {"x86_64": 321, "aarch64": 280}
_ATTRIBUTES_SIZE = 128


class CostMeter:
    """Lets the kernel measure the run time of BPF programs, or not."""

    def __init__(self) -> None:
        self._descriptor = -1

    @property
    def is_on(self) -> bool:
        """Whether we let it measure."""
        return self._descriptor >= 0

    def turn_on(self) -> bool:
        """Begin; False where the kernel (before 5.8) or this machine does not offer it."""
        number = _SYSTEM_CALLS.get(os.uname().machine)
        if not self.is_on and number is not None:
            attributes = ctypes.create_string_buffer(_ATTRIBUTES_SIZE)
            attributes.raw = _BPF_STATS_RUN_TIME.to_bytes(4, "little").ljust(
                _ATTRIBUTES_SIZE, b"\0"
            )
            libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = libc.syscall(number, _BPF_ENABLE_STATS, attributes, _ATTRIBUTES_SIZE)
        return self.is_on

    def turn_off(self) -> None:
        """End. May be called again."""
        if self.is_on:
            os.close(self._descriptor)
            self._descriptor = -1
