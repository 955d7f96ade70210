"""The appliance as a place: made, started and brought up to date when a command needs it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lab.errors import MachineLost
from lab.places.appliance import code, machine
from lab.places.appliance.architecture import this_architecture
from lab.places.appliance.connection import Connection
from lab.places.appliance.folders import locked
from lab.places.appliance.image import ROOT, ensure_image
from lab.places.appliance.kernels import INITRAMFS, KERNEL, MODULES, ensure_bundle
from lab.places.appliance.kernelsource import DEFAULT, find_source
from lab.places.appliance.machine import Home, Record, read_record
from lab.places.appliance.paths import Cache, default_cache
from lab.places.appliance.qemu import Machine, port_of
from lab.places.base import Progress


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
    ) -> None:
        self.reason = reason
        self._lab = lab
        self._progress = progress
        self._source = find_source(kernel or DEFAULT)
        self._cache = cache or default_cache()
        self._home = Home.of(self._cache, lab)
        self._connection: Connection | None = None

    def prepare(self) -> None:
        """Build what is missing, start or restore the machine, and bring the code up to date."""
        image = ensure_image(self._cache, self._progress)
        bundle = ensure_bundle(self._cache, self._source, self._progress)
        made_from = f"{image.identity} {bundle.identity}"
        lock = self._cache.lock(f"machine-{self._lab}")
        with locked(lock, f"starting the machine of lab {self._lab}", self._progress):
            record = read_record(self._home)
            process = self._home.find()
            if process is None or record is None or record.made_from != made_from:
                machine.end(self._home, 10)
                with self._progress.step("boot the appliance"):
                    record, port = self._boot(made_from, bundle.facts["release"])
            else:
                port = port_of(process.argv)
            self._connection = self._connect(port, record)
            self._push(self._connection, record)

    def run(self, argv: Sequence[str], *, tty: bool = False, stdin: int | None = None) -> int:
        """Run a command in the machine. Raises MachineLost when it is not there, or went away."""
        return self._connected().run(argv, tty=tty, stdin=stdin)

    def fetch(self, source: PurePosixPath, target: Path) -> None:
        """Copy a file, or a folder's contents, out of the machine."""
        self._connected().fetch(source, target)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise MachineLost("the appliance has not been started")
        return self._connection

    def _boot(self, made_from: str, release: str) -> tuple[Record, int]:
        home, bundle = self._home, self._cache.kernel(self._source.name)
        started = time.monotonic()
        machine.make_disk(home, self._cache.image / ROOT, "raw")
        spec = Machine(
            name=f"l2tp-lab-{self._lab}",
            architecture=this_architecture(),
            acceleration="tcg",
            kernel=bundle / KERNEL,
            initramfs=bundle / INITRAMFS,
            disk=home.disk,
            modules=bundle / MODULES,
            pid_file=home.pid_file,
            monitor=home.monitor,
            log=home.log,
            port=0,
        )
        launched = machine.launch(spec, machine.SERVING_S)
        with launched.console:
            launched.console.wait_for(machine.USERLAND_UP, machine.BOOT_S)
        record = Record(
            made_from=made_from,
            kernel=self._source.name,
            release=release,
            acceleration="tcg",
            slowness=1.0,
            restored=False,
            start_s=time.monotonic() - started,
            started_at=time.time(),
        )
        record.write(home)
        return record, launched.machine.port

    def _connect(self, port: int, record: Record) -> Connection:
        connection = Connection(port, self._cache.image, self._home.control, record.slowness)
        if not connection.is_open():
            connection.open()
        return connection

    def _push(self, connection: Connection, record: Record) -> None:
        tree = code.read_tree()
        archive = code.pack(tree, record.code)
        if archive:
            with self._progress.step("bring this checkout's code into the appliance"):
                argv = ["/usr/lib/l2tp-lab/receive", f"{time.time():.6f}"]
                connection.call(argv, data=archive)
                replace(record, code=tree).write(self._home)
