"""Ends what a signal would leave half done, or behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from l2tp.kernel.libc import die_with_parent


@contextmanager
def in_good_order() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that goes, end all within as Ctrl-C does.

    They raise KeyboardInterrupt, so that files are removed and processes of ours are ended.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent() -> None:
    """Have this process, a child of ours, end in order also when we are killed."""
    die_with_parent(signal.SIGTERM)
