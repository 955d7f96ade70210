"""The appliance as a place: made, started and brought up to date when a command needs it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lab.errors import CannotRun, MachineLost
from lab.places.appliance import monitor
from lab.places.appliance.connection import Connection
from lab.places.appliance.folders import locked
from lab.places.appliance.kernelsource import DEFAULT, find_source
from lab.places.appliance.machine import Home, read_record
from lab.places.appliance.paths import Cache, default_cache
from lab.places.appliance.push import push
from lab.places.appliance.qemu import port_of
from lab.places.base import Progress

# What makes and starts machines is imported late: a command in one that runs has no use for it.
if TYPE_CHECKING:
    from lab.places.appliance.starting import Parts

_ANSWER_S = 5.0


class AppliancePlace:
    """One lab's machine; see ``lab.places.base.Place``."""

    name = "appliance"

    def __init__(
        self,
        lab: str,
        reason: str,
        progress: Progress,
        *,
        kernel: str | None = None,
        cache: Cache | None = None,
        attaches: bool = False,
        counted: bool = False,
    ) -> None:
        """``counted`` starts a machine whose instructions are counted, where none runs.

        ``attaches`` takes the machine that runs as it is: no command that only uses what is
        there may replace it, and with it the lab, because something else would be built by now.
        """
        self.attaches = attaches
        self.reason = reason
        self._counted = counted
        self._lab = lab
        self._progress = progress
        self._source = find_source(kernel or DEFAULT)
        self._cache = cache or default_cache()
        self._connection: Connection | None = None

    def prepare(self) -> None:
        """Build what is missing, start or restore the machine, and bring the code up to date."""
        parts = None if self.attaches else self._parts()
        home = Home.of(self._cache, self._lab)
        lock = self._cache.lock(f"machine-{self._lab}")
        with locked(lock, f"the machine of lab {self._lab}", self._progress):
            try:
                self._connection = self._reuse(home, parts)
            except MachineLost as error:
                raise MachineLost(f"{error}. {self._diagnose()}") from error
            if self._connection is None and parts is None:
                raise MachineLost(f"the machine of lab {self._lab} has just ended")
            if self._connection is None and parts is not None:
                from lab.places.appliance.starting import start

                self._connection = start(
                    parts, home, self._lab, self._progress, counted=self._counted
                )

    def _parts(self) -> Parts:
        from lab.places.appliance.image import ensure_image
        from lab.places.appliance.kernels import ensure_bundle
        from lab.places.appliance.starting import Parts

        image = ensure_image(self._cache, self._progress)
        bundle = ensure_bundle(self._cache, self._source, self._progress)
        return Parts(self._cache, self._source, image, bundle)

    def run(self, argv: Sequence[str], *, tty: bool = False, stdin: int | None = None) -> int:
        """Run a command in the machine. Raises MachineLost when it is not there, or went away."""
        try:
            return self._connected().run(argv, tty=tty, stdin=stdin)
        except MachineLost as error:
            raise MachineLost(f"{error}. {self._diagnose()}") from error

    def fetch(self, source: PurePosixPath, target: Path) -> None:
        """Copy a file, or a folder's contents, out of the machine."""
        self._connected().fetch(source, target)

    @contextmanager
    def reached(self, port: int) -> Iterator[None]:
        """Forward a port of this box's loopback to the same one of the machine's."""
        connection = self._connected()
        connection.forward(port, port)
        # An end from outside is one like Ctrl-C: neither the server nor the port outlives us.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            connection.end_forward(port, port)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise MachineLost("the appliance has not been started")
        return self._connection

    def _diagnose(self) -> str:
        """Say what became of the machine, and what helps."""
        home = Home.of(self._cache, self._lab)
        if home.find() is None:
            return "Its QEMU has ended; the next command starts a new one"
        try:
            state = monitor.read_status(home.monitor, _ANSWER_S)
        except CannotRun:
            state = "silent"
        if state == "io-error":
            return (
                f"QEMU could not write to {home.disk} (is the disk full?). Free some space, then "
                f"run: l2tp-lab appliance stop --lab {self._lab}"
            )
        return (
            f"Its QEMU still runs ({state}), and says nothing. See l2tp-lab appliance log "
            f"--lab {self._lab}; to end it: l2tp-lab appliance stop --lab {self._lab}"
        )

    def _reuse(self, home: Home, parts: Parts | None) -> Connection | None:
        """Return the way to the machine that runs, with this checkout's code in it.

        With ``parts`` it must be made from these.
        """
        record, process = read_record(home), home.find()
        if process is None or (record is None and parts is None):
            return None
        if record is None or (parts is not None and record.made_from != parts.made_from):
            self._progress.say("the machine that runs is made from something else: it is replaced")
            return None
        connection = Connection(
            port_of(process.argv), self._cache.image, home.control, record.slowness
        )
        if not connection.is_open():
            connection.open()
        code = push(connection, record.code, set_clock=False)
        if code != record.code:
            replace(record, code=code).write(home)
        return connection
