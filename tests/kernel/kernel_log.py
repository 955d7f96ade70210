"""The kernel's log since a moment: which lines of it are complaints (/dev/kmsg)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

WARNING = 4
"""The level of KERN_WARNING; smaller is worse (include/linux/kern_levels.h)."""

# What reports a bug prints some of its lines at any level.
_TROUBLE = re.compile(
    r"WARNING:|BUG:|Oops|general protection|refcount_t|Call Trace|use-after-free"
    r"|unregister_netdevice: waiting|ref_tracker|leaked reference|IDR not empty"
)

# Warnings that say something of the box and nothing of the driver, each with its reason.
_INNOCENT = re.compile(
    "|".join(
        (
            r"^clocksource: |^tsc: |[Tt]imekeeping watchdog",  # a clock that an emulator lends
            r"^hrtimer: interrupt took|^perf: interrupt took",  # a slow, shared box
            r"^workqueue: .* hogged CPU",  # the same
            r"^ext4 filesystem being mounted",  # the image has 32-bit time stamps
            # A session that netlink made, in the test that sends to it.
            r"^l2tp_ppp: sess \d+/77: no socket in recv",
            r"^sched: DL replenish lagged|RT throttling activated",  # a restored machine's clock
        )
    )
)


class KernelLog:
    """Reads /dev/kmsg from where it is; every reader has its own place in it."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.skip()

    def skip(self) -> None:
        """Go to the end."""
        os.lseek(self._fd, 0, os.SEEK_END)

    def complaints(self) -> list[str]:
        """Read on to the end, and return the lines that should not be there."""
        return complaints(self._records())

    def _records(self) -> Iterable[str]:
        while True:
            try:
                yield os.read(self._fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue  # the oldest records were overwritten before we came

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def complaints(records: Iterable[str]) -> list[str]:
    """Choose the records that report trouble.

    A record is ``PRIORITY,SEQUENCE,TIME,FLAGS;TEXT`` and lines that begin with a space
    (Documentation/ABI/testing/dev-kmsg); those of other facilities than the kernel's own, which
    programs write, say nothing of it.
    """
    return [text for priority, text in map(_parsed, records) if _is_complaint(priority, text)]


def _parsed(record: str) -> tuple[int, str]:
    prefix, _, rest = record.partition(";")
    return int(prefix.partition(",")[0]), rest.partition("\n")[0]


def _is_complaint(priority: int, text: str) -> bool:
    if priority >> 3:
        return False
    if _TROUBLE.search(text):
        return True
    return priority & 7 <= WARNING and not _INNOCENT.search(text)
