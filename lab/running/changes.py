"""Tells when something has become of the daemons' sessions, so that nobody need ask them often."""

from __future__ import annotations

import select
import time
from types import TracebackType
from typing import Final, Self

from l2tp.daemon.control import ControlClient
from lab.running.live import Live

#: The records of the daemons' logs after which it is worth asking how things stand.
_TELLING: Final = frozenset({"SessionReady", "SessionClosed", "TunnelClosed", "TunnelReleased"})

#: A foreign daemon tells nothing, so that those who have one must ask.
_ASK_ANYWAY_S = 0.2
_ALL_ARE_OURS_S = 1.0


class Changes:
    """Listens to every daemon of ours from the moment that it is made.

    Raises ControlError when one of them does not answer.
    """

    def __init__(self, live: Live) -> None:
        self._longest_s = _ASK_ANYWAY_S if live.peers else _ALL_ARE_OURS_S
        self._daemons: list[ControlClient] = []
        try:
            for node in live.daemons:
                self._daemons.append(live.daemon(node))
                self._daemons[-1].events()
        except BaseException:
            self.close()
            raise

    def pause(self, left_s: float) -> None:
        """Return when something has changed, and after ``left_s`` or a moment anyway."""
        ends = time.monotonic() + min(left_s, self._longest_s)
        told = False
        while not told and (left_s := ends - time.monotonic()) > 0:
            for daemon in select.select(self._daemons, [], [], left_s)[0]:
                records = daemon.receive()
                told |= records is None or any(one["event"] in _TELLING for one in records)
                if records is None:  # it has ended, and would be readable for ever
                    self._daemons.remove(daemon)
                    daemon.close()

    def close(self) -> None:
        """Listen no more."""
        for daemon in self._daemons:
            daemon.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
