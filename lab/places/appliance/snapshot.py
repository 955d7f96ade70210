"""The warm snapshot: a machine that has booted and read what every lab reads, ready to go on.

It is three files, and the log of that boot. ``ram`` is the guest's memory; machines map it
privately, so a restore reads only the pages that the guest touches, and machines share what none of
them writes. ``state`` is the state of the devices, as QEMU's migration writes it. ``disk.qcow2``
lies between the image and a machine's own disk. None of them is written again, so any number of
machines start from one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from lab.places.appliance import acceleration, machine, manifest, monitor, qemu
from lab.places.appliance.code import TOOLS, read_tree
from lab.places.appliance.connection import Connection
from lab.places.appliance.folders import locked, new_folder
from lab.places.appliance.image import read_code as read_image_code
from lab.places.appliance.machine import Home
from lab.places.appliance.outdated import differs, is_outdated
from lab.places.appliance.paths import Cache
from lab.places.appliance.push import push
from lab.places.appliance.qemu import Machine, Memory
from lab.places.appliance.serial import USERLAND_UP
from lab.places.base import Progress
from probes.hooks.spec import BPF_FOLDER

RAM, STATE, DISK, CODE, BOOT_LOG = "ram", "state", "disk.qcow2", "code.json", "boot.log"

#: The guest's tools that have no part in warming it up.
_NOT_WARMING = ("boot", "receive", "run", "send")

#: What the homes of machines begin with that are on the way to a snapshot.
_WARMING = ".warm-"

#: Snapshots kept: one for each of a few kernels.
_KEPT = 4

#: Room for the guest's memory and what it wrote to its disk.
_NEEDED_MIB = 700

#: For translated code while the guest warms up, which runs a compiler. It is not part of what is
#: saved: a machine that is restored has its own, smaller one.
_TRANSLATED_MIB = 256

#: Seconds on the reference box.
_SAVING_S = 60.0
_ENDING_S = 10.0


def snapshot_key(spec: Machine, made_from: str, qemu_version: str) -> str:
    """Return a hash of everything that a snapshot depends on."""
    nowhere = Path("-")
    neutral = replace(
        spec,
        name="",
        kernel=nowhere,
        initramfs=nowhere,
        disk=nowhere,
        modules=nowhere,
        pid_file=nowhere,
        monitor=nowhere,
        log=nowhere,
        port=0,
        qemu=nowhere if spec.qemu else None,
    )
    parts = [made_from, qemu_version, *qemu.arguments(neutral, 0, 0), *_warming()]
    if spec.acceleration == "kvm":
        parts += [acceleration.host_processor(), os.uname().release]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _warming() -> list[str]:
    """Return the contents of what warms the guest up, and of the programs that it compiles then."""
    paths = [*sorted(TOOLS.rglob("*")), *sorted(BPF_FOLDER.rglob("*.[ch]"))]
    return [
        path.read_text()
        for path in paths
        if path.is_file() and path.name not in _NOT_WARMING and path.parent.name != "__pycache__"
    ]


def find_snapshot(cache: Cache, key: str) -> Path | None:
    """Return a whole snapshot's folder, or None."""
    folder = cache.warm / key
    return folder if manifest.read(folder) is not None else None


def read_code(snapshot: Path) -> dict[str, str]:
    """Return the code that a snapshot's guest holds, as ``code.read_tree`` says it."""
    tree: dict[str, str] = json.loads((snapshot / CODE).read_text())
    return tree


def hand_boot_log_on(snapshot: Path, home: Home) -> None:
    """Let a machine that is about to go on from a snapshot have the log of its boot."""
    try:
        shutil.copyfile(snapshot / BOOT_LOG, home.boot_log)
    except FileNotFoundError:
        home.boot_log.write_text("(an earlier version made the snapshot, and did not keep it)\n")


def restored(spec: Machine, snapshot: Path) -> Machine:
    """Return a machine that goes on from a snapshot; its disk is to be made on the snapshot's."""
    memory = Memory(spec.memory.mib, snapshot / RAM, shared=False)
    return replace(spec, memory=memory, incoming=snapshot / STATE)


def ensure_snapshot(
    cache: Cache, key: str, spec: Machine, image: Path, slowness: float, progress: Progress
) -> Path:
    """Return the snapshot, after booting and warming a machine for it when there is none.

    One whose code is outdated is made anew. Raises CannotRun when it cannot be made, MachineLost
    when the machine broke on the way.
    """
    with locked(cache.lock(f"warm-{key}"), "the warm snapshot", progress):
        if found := find_snapshot(cache, key):
            if not is_outdated(found, read_code(found), read_tree()):
                return found
            progress.say("the warm snapshot holds older code than this checkout's")
        end_orphans(cache)
        home = Home.of(cache, f"{_WARMING}{key}")
        machine.end(home, _ENDING_S)  # one that a killed run left
        try:
            with (
                progress.step("make the warm snapshot"),
                new_folder(cache.warm / key, _NEEDED_MIB, "the warm snapshot") as folder,
            ):
                _make(home, folder, spec, image, cache, slowness)
                manifest.describe(folder, "warm", key, {})
        finally:
            machine.end(home, _ENDING_S)
        machine.forget(home)  # kept after a failure, for its console's log
        _prune(cache, key)
        return cache.warm / key


def end_orphans(cache: Cache) -> None:
    """End the machines that killed runs left on the way to other snapshots than today's."""
    for folder in (cache.root / "machines").glob(f"{_WARMING}*"):
        lock = FileLock(cache.lock(f"warm-{folder.name.removeprefix(_WARMING)}"))
        with suppress(Timeout), lock.acquire(timeout=0):
            machine.end(Home.of(cache, folder.name), _ENDING_S)


def discard_older(cache: Cache) -> None:
    """Remove the snapshots that hold other code than this checkout's: the next start makes one."""
    here = read_tree()
    for folder in cache.warm.iterdir() if cache.warm.is_dir() else ():
        if manifest.read(folder) is not None and differs(read_code(folder), here):
            shutil.rmtree(folder, ignore_errors=True)


def discard(cache: Cache, key: str) -> None:
    """Remove a snapshot that turned out to be broken."""
    shutil.rmtree(cache.warm / key, ignore_errors=True)


def _make(
    home: Home, folder: Path, spec: Machine, image: Path, cache: Cache, slowness: float
) -> None:
    home.make()
    machine.make_overlay(folder / DISK, image, "raw")
    spec = replace(
        spec,
        disk=folder / DISK,
        pid_file=home.pid_file,
        monitor=home.monitor,
        log=home.log,
        memory=Memory(spec.memory.mib, folder / RAM, shared=True),
        translated_mib=_TRANSLATED_MIB,
    )
    launched = machine.launch(spec, machine.SERVING_S * slowness)
    with launched.console as console:
        console.wait_for(USERLAND_UP, machine.BOOT_S * slowness)
        connection = Connection(launched.machine.port, cache.image, home.control, slowness)
        connection.open()
        code = push(connection, read_image_code(cache))
        connection.call(["/usr/lib/l2tp-lab/warm"])
        connection.close()
        monitor.save(home.monitor, folder / STATE, _SAVING_S * slowness)
        launched.process.wait(_ENDING_S * slowness)
    (folder / CODE).write_text(json.dumps(code))
    shutil.copyfile(home.log, folder / BOOT_LOG)


def _prune(cache: Cache, key: str) -> None:
    """Remove the oldest snapshots; a machine that runs from one keeps its files."""
    folders = [path for path in cache.warm.iterdir() if (path / manifest.NAME).exists()]
    folders.sort(key=lambda path: (path.name == key, path.stat().st_mtime), reverse=True)
    for folder in folders[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
