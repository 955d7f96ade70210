"""What the command line offers about the appliance itself: ``l2tp-lab appliance …``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CannotRun, UsageError
from lab.places.appliance import archive, emulator, machine, monitor, process
from lab.places.appliance.acceleration import Verdict
from lab.places.appliance.emulator import Emulator
from lab.places.appliance.folders import locked
from lab.places.appliance.image import ensure_image, find_image
from lab.places.appliance.kernels import ensure_bundle, find_bundle
from lab.places.appliance.kernelsource import DEFAULT, find_source
from lab.places.appliance.machine import Home, read_record
from lab.places.appliance.paths import default_cache
from lab.places.appliance.place import AppliancePlace
from lab.places.appliance.qemu import COUNTED, port_of, version_number
from lab.places.appliance.starting import Parts, prove
from lab.places.base import Progress

_ENDING_S = 10.0
_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """One machine as the process table, QEMU and its record tell it."""

    lab: str
    pid: int
    state: str
    kernel: str
    acceleration: str
    #: The version of its QEMU.
    qemu: str
    processors: int
    restored: bool
    start_s: float
    up_s: float
    memory_mib: float
    port: int
    log: Path


def build(progress: Progress, *, kernel: str | None = None, rebuild: bool = False) -> None:
    """Build the image and a kernel's bundle where they are missing; with ``rebuild``, anew.

    Where this box's guests run under a QEMU of the appliance's own, that is fetched as well.
    """
    cache, source = default_cache(), find_source(kernel or DEFAULT)
    image = ensure_image(cache, progress, rebuild=rebuild)
    bundle = ensure_bundle(cache, source, progress, rebuild=rebuild)
    try:
        verdict = _prove(Parts(cache, source, image, bundle), progress)
        emulator.choose(cache, verdict.acceleration, progress, again=True, rebuild=rebuild)
    except CannotRun as error:
        # What was built can still be exported to a box that can.
        progress.say(f"no machine can be started on this box: {error}")


def start(
    progress: Progress, lab: str, *, kernel: str | None = None, counted: bool = False
) -> AppliancePlace:
    """Start a lab's machine, or bring the one that runs up to date.

    ``counted`` asks for one whose instructions are counted. Raises UsageError where one runs that
    does not count.
    """
    home = Home.of(default_cache(), lab)
    record = read_record(home)
    if counted and home.find() and not (record and record.acceleration == COUNTED):
        raise UsageError(
            f"the machine of lab {lab} runs, and does not count its instructions. What runs in it "
            f"ends with: l2tp-lab appliance stop --lab {lab}"
        )
    place = AppliancePlace(lab, "asked for", progress, kernel=kernel, counted=counted)
    place.prepare()
    return place


def stop(progress: Progress, lab: str) -> bool:
    """End a lab's machine; return whether one ran. What it wrote is gone."""
    cache = default_cache()
    lock = cache.lock(f"machine-{lab}")
    with locked(lock, f"the machine of lab {lab}", progress):
        return machine.end(Home.of(cache, lab), _ENDING_S)


def statuses() -> list[MachineStatus]:
    """Return every machine of this user's cache that runs."""
    cache = default_cache()
    folder = cache.root / "machines"
    labs = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = (_status(Home.of(cache, lab), lab) for lab in labs if not lab.startswith("."))
    return [status for status in found if status is not None]


def console_log(lab: str) -> list[tuple[str, str]]:
    """Return a machine's console output in parts, each behind a line that says what it is, or "".

    The boot of a machine that was restored is the one that its snapshot was made of. Raises
    CannotRun when no machine has run.
    """
    home = Home.of(default_cache(), lab)
    path = home.log
    if not path.is_file():
        raise CannotRun(
            f"no machine of lab {lab} has run yet. Run: l2tp-lab appliance start --lab {lab}"
        )
    console = path.read_text(errors="replace")
    if not home.boot_log.is_file():
        silent = "" if console else f"the console of lab {lab}'s machine has been silent ({path})"
        return [(silent, console)]
    boot = home.boot_log.read_text(errors="replace")
    begun = f"the machine of lab {lab} was restored from the warm snapshot, and not booted"
    since = f"since it was restored ({path})"
    return [
        (f"{begun}. Of the boot that the snapshot was made of ({home.boot_log}):", boot),
        (f"{since}:" if console else f"{since} the console has been silent", console),
    ]


def require_writable(target: Path) -> None:
    """Raise UsageError where an export cannot be written."""
    archive.require_writable(target.absolute())


def export_to(progress: Progress, target: Path) -> None:
    """Write the appliance to one file. Raises CannotRun."""
    archive.export_appliance(default_cache(), target.absolute(), progress)


def import_from(progress: Progress, source: Path) -> None:
    """Take the appliance from an exported file. Raises UsageError or CannotRun."""
    archive.import_appliance(default_cache(), source.absolute(), progress)


def prove_acceleration(progress: Progress) -> Verdict | None:
    """Return whether KVM works, proved by a boot; None while there is no kernel to boot."""
    cache, source = default_cache(), find_source(DEFAULT)
    image, bundle = find_image(cache), find_bundle(cache, source)
    if image is None or bundle is None:
        return None
    return _prove(Parts(cache, source, image, bundle), progress)


def find_emulator(verdict: Verdict) -> Emulator | None:
    """Return the QEMU that runs the guest; None where the next start or build fetches one first.

    Raises CannotRun where the box has none.
    """
    return emulator.look(default_cache(), verdict.acceleration)


def is_built() -> bool:
    """Tell whether a start would find the image, and need no network."""
    return find_image(default_cache()) is not None


def _prove(parts: Parts, progress: Progress) -> Verdict:
    Home.of(parts.cache, "probe").folder.mkdir(parents=True, exist_ok=True)
    return prove(parts, progress)


def _status(home: Home, lab: str) -> MachineStatus | None:
    running = home.find()
    if running is None:
        return None
    try:
        state = monitor.read_status(home.monitor, _ANSWER_S)
    except CannotRun:
        state = "silent"
    record = read_record(home)
    return MachineStatus(
        lab=lab,
        pid=running.pid,
        state=state,
        kernel=record.release if record else "",
        acceleration=record.acceleration if record else "",
        qemu=version_number(record.qemu) if record else "",
        processors=int(running.option("-smp") or 1),
        restored=record.restored if record else False,
        start_s=record.start_s if record else 0.0,
        up_s=time.time() - record.started_at if record else 0.0,
        memory_mib=process.resident_mib(running),
        port=port_of(running.argv),
        log=home.log,
    )
