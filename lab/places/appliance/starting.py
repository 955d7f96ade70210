"""How a machine comes up: from the warm snapshot, or cold when that cannot be."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from lab.errors import CannotRun, MachineLost
from lab.places.appliance import acceleration, emulator, machine, qemu, snapshot
from lab.places.appliance.acceleration import Verdict
from lab.places.appliance.architecture import this_architecture
from lab.places.appliance.connection import Connection
from lab.places.appliance.emulator import Emulator
from lab.places.appliance.image import ROOT, read_code
from lab.places.appliance.kernels import INITRAMFS, KERNEL, MODULES
from lab.places.appliance.kernelsource import KernelSource
from lab.places.appliance.machine import Home, Record
from lab.places.appliance.manifest import Manifest
from lab.places.appliance.paths import Cache
from lab.places.appliance.push import push
from lab.places.appliance.qemu import Machine
from lab.places.appliance.serial import USERLAND_UP
from lab.places.base import Progress

_ENDING_S = 10.0

#: How much slower an emulated machine is whose instructions are counted.
_COUNTING = 3.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a machine is made from."""

    cache: Cache
    source: KernelSource
    image: Manifest
    bundle: Manifest

    @property
    def made_from(self) -> str:
        """A machine made from something else is not the one that is wanted."""
        return f"{self.image.identity} {self.bundle.identity}"


def prove(parts: Parts, progress: Progress) -> Verdict:
    """Return whether KVM works on this box, booting a guest to find out if nobody has yet."""
    spec = _specify(parts, Home.of(parts.cache, "probe"), "probe")
    version = qemu.read_version(spec.architecture.qemu)
    return acceleration.decide(parts.cache, spec, version, progress)


def start(
    parts: Parts, home: Home, lab: str, progress: Progress, *, counted: bool = False
) -> Connection:
    """Start a lab's machine anew, and return the way to it, with this checkout's code in it.

    One whose instructions are ``counted`` boots: it is for measuring, and nobody waits for it.

    Raises CannotRun when no machine comes up on this box, MachineLost when it went away at once.
    """
    machine.end(home, _ENDING_S)
    home.folder.mkdir(parents=True, exist_ok=True)
    spec = _specify(parts, home, lab)
    version = qemu.read_version(spec.architecture.qemu)
    verdict = acceleration.decide(parts.cache, spec, version, progress)
    chosen = emulator.choose(parts.cache, verdict.acceleration, progress)
    if counted:
        verdict = Verdict(qemu.COUNTED, "asked for", _COUNTING * verdict.slowness)
        chosen = replace(chosen, processors=1)
    spec = replace(
        spec,
        acceleration=verdict.acceleration,
        cpus=chosen.processors,
        qemu=chosen.folder,
    )
    starter = _Starter(parts, home, spec, verdict, chosen, progress)
    if counted:
        return starter.boot()
    key = snapshot.snapshot_key(spec, parts.made_from, chosen.version)
    for _ in range(2):
        try:
            return starter.restore(key)
        except (CannotRun, MachineLost) as error:
            # Of no use to anybody: the next try makes a new one, and boots cold if that fails.
            progress.say(f"the warm snapshot does not work: {error}")
            machine.end(home, _ENDING_S)
            snapshot.discard(parts.cache, key)
    return starter.boot()


@dataclass(frozen=True, slots=True)
class _Starter:
    parts: Parts
    home: Home
    spec: Machine
    verdict: Verdict
    emulator: Emulator
    progress: Progress

    def restore(self, key: str) -> Connection:
        parts, slowness = self.parts, self.verdict.slowness
        image = parts.cache.image / ROOT
        folder = snapshot.ensure_snapshot(
            parts.cache, key, self.spec, image, slowness, self.progress
        )
        started = time.monotonic()
        with self.progress.step("restore the appliance"):
            machine.make_disk(self.home, folder / snapshot.DISK, "qcow2")
            snapshot.hand_boot_log_on(folder, self.home)
            launched = machine.launch(
                snapshot.restored(self.spec, folder), machine.SERVING_S * slowness
            )
            launched.console.close()
            connection = self._connect(launched.machine.port)
            code = push(connection, snapshot.read_code(folder))
        self._record(code, time.monotonic() - started, restored=True)
        return connection

    def boot(self) -> Connection:
        slowness = self.verdict.slowness
        started = time.monotonic()
        with self.progress.step("boot the appliance"):
            machine.make_disk(self.home, self.parts.cache.image / ROOT, "raw")
            self.home.boot_log.unlink(missing_ok=True)
            launched = machine.launch(self.spec, machine.SERVING_S * slowness)
            with launched.console as console:
                console.wait_for(USERLAND_UP, machine.BOOT_S * slowness)
            connection = self._connect(launched.machine.port)
            code = push(connection, read_code(self.parts.cache))
        self._record(code, time.monotonic() - started, restored=False)
        return connection

    def _connect(self, port: int) -> Connection:
        slowness = self.verdict.slowness
        connection = Connection(port, self.parts.cache.image, self.home.control, slowness)
        connection.open()
        return connection

    def _record(self, code: dict[str, str], start_s: float, *, restored: bool) -> None:
        Record(
            made_from=self.parts.made_from,
            kernel=self.parts.source.asked,
            release=self.parts.bundle.facts["release"],
            acceleration=self.verdict.acceleration,
            slowness=self.verdict.slowness,
            restored=restored,
            start_s=start_s,
            started_at=time.time(),
            code=code,
            qemu=self.emulator.version,
        ).write(self.home)


def _specify(parts: Parts, home: Home, lab: str) -> Machine:
    bundle = parts.cache.kernel(parts.source.name)
    return Machine(
        name=f"l2tp-lab-{lab}",
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
