"""KVM or emulation: decided by booting the real kernel both ways, and by nothing less.

``/dev/kvm`` may be there, open, and answer every call up to creating a processor, and the guest
hang or abort all the same. So the kernel is booted up to its first process under both at once.
When emulation gets there first, KVM is of no use on this box, whatever the cause: no deadline has
to be guessed, and a slow box is judged by its own speed.
"""

from __future__ import annotations

import hashlib
import json
import selectors
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab.errors import CannotRun
from lab.places.appliance.machine import SERVING_S, Launched, launch
from lab.places.appliance.paths import Cache
from lab.places.appliance.qemu import PROBE, Machine
from lab.places.appliance.serial import KERNEL_UP
from lab.places.base import Progress

#: How long the calibration takes on the reference box, which all deadlines are made for.
_REFERENCE_S = 0.030

#: When neither way has booted after this long (times slowness), the box cannot run guests.
_HOPELESS_S = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How guests run on this box, since its last boot."""

    acceleration: str
    reason: str
    #: This box's time for a fixed piece of work, in times of the reference box's, at least 1.
    slowness: float


def decide(cache: Cache, probe: Machine, qemu_version: str, progress: Progress) -> Verdict:
    """Return the verdict for this box, this QEMU and this kernel; measured once per boot.

    ``probe`` is a machine that boots the kernel to be used. Raises CannotRun when no way works.
    """
    question = json.dumps([_boot_id(), qemu_version, str(probe.kernel), _stamp(probe.kernel)])
    key = hashlib.sha256(question.encode()).hexdigest()[:16]
    known = _read(cache)
    if key in known:
        return known[key]
    verdict = _judge(probe, progress)
    _write(cache, {key: verdict})
    return verdict


def measure_slowness() -> float:
    """Return how many times longer than the reference box this one takes, at least 1."""
    data = bytes(range(256)) * 4096
    times = []
    for _ in range(3):
        started = time.perf_counter()
        for _ in range(12):
            hashlib.blake2b(data).digest()
        times.append(time.perf_counter() - started)
    return max(1.0, min(times) / _REFERENCE_S)


def host_processor() -> str:
    """Return what tells this box's processor from another: under KVM the guest sees it."""
    wanted = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "microcode")
    lines = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines()
    return "\n".join(line for line in lines if line.split("\t", 1)[0].strip() in wanted)


def _judge(probe: Machine, progress: Progress) -> Verdict:
    slowness = measure_slowness()
    if not _may_open_kvm():
        return Verdict("tcg", "/dev/kvm is missing or closed to this user", slowness)
    with progress.step("try whether KVM works on this box"):
        started = time.monotonic()
        racers = {}
        try:
            for name in ("kvm", "tcg"):
                racers[name] = _start(replace(probe, acceleration=name), slowness)
            winner = _race(racers, _HOPELESS_S * slowness)
        finally:
            for racer in racers.values():
                if racer is not None:
                    racer.process.kill()
                    racer.process.wait()
                    racer.console.close()
    took = f"{time.monotonic() - started:.1f} s"
    if winner == "kvm":
        return Verdict("kvm", f"a guest booted with KVM in {took}", slowness)
    return Verdict("tcg", "/dev/kvm is there, but a guest boots sooner without it", slowness)


def _start(machine: Machine, slowness: float) -> Launched | None:
    suffix = machine.acceleration
    machine = replace(
        machine,
        disk=None,
        pid_file=machine.pid_file.with_name(f"probe-{suffix}.pid"),
        monitor=machine.monitor.with_name(f"probe-{suffix}.qmp"),
        log=machine.log.with_name(f"probe-{suffix}.log"),
        kernel_arguments=(PROBE,),
    )
    try:
        return launch(machine, SERVING_S * slowness)
    except CannotRun:
        return None


def _race(racers: Mapping[str, Launched | None], deadline_s: float) -> str:
    """Return whose kernel is up first. Raises CannotRun when nobody's is."""
    end = time.monotonic() + deadline_s
    with selectors.DefaultSelector() as selector:
        for name, racer in racers.items():
            if racer is not None:
                selector.register(racer.console, selectors.EVENT_READ, name)
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                name = str(key.data)
                racer = racers[name]
                alive = racer is not None and racer.console.read()
                if racer is not None and racer.console.shows(KERNEL_UP):
                    return name
                if not alive:
                    selector.unregister(key.fileobj)
    raise CannotRun(
        f"no guest boots on this box, neither with KVM nor without (waited {deadline_s:.0f} s). "
        "See what QEMU says: l2tp-lab appliance log"
    )


def _may_open_kvm() -> bool:
    try:
        with Path("/dev/kvm").open("r+b", buffering=0):
            return True
    except OSError:
        return False


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _read(cache: Cache) -> dict[str, Verdict]:
    try:
        rows = json.loads((cache.root / "acceleration.json").read_text())
        return {key: Verdict(**row) for key, row in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(cache: Cache, verdicts: Mapping[str, Verdict]) -> None:
    rows = {key: asdict(verdict) for key, verdict in {**_read(cache), **verdicts}.items()}
    temporary = cache.root / "acceleration.json.new"
    temporary.write_text(json.dumps(rows, indent=1))
    temporary.replace(cache.root / "acceleration.json")
