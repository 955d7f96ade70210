"""Who reads our output: a live command ends when that one has gone."""

from __future__ import annotations

import os
import select
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_when_unread(output: int = 1) -> Iterator[None]:
    """Send ourselves a Ctrl-C when whoever reads our output has gone (head), for live commands.

    What is silent would never notice, and what writes elsewhere, over SSH, is not told.
    """
    try:
        mode = os.fstat(output).st_mode
    except OSError:
        mode = 0
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        yield
        return
    reader, writer = os.pipe()
    watcher = threading.Thread(target=_watch, args=(output, reader), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        os.close(writer)
        watcher.join()
        os.close(reader)


def _watch(output: int, until_closed: int) -> None:
    poll = select.poll()
    poll.register(output, 0)  # errors alone, which always come
    poll.register(until_closed, 0)
    told = dict(poll.poll())
    if told.get(output, 0) & (select.POLLERR | select.POLLHUP) and until_closed not in told:
        os.kill(os.getpid(), signal.SIGINT)
