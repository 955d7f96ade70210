"""Which QEMU runs the guest: the box's, or a newer one that the appliance keeps for itself.

The box's may be too old to emulate two processors (see ``qemu.processors``). Where Debian has a
newer one for the same release, it is fetched into the cache: the program and its firmware, no more.
The libraries that it needs are those which the box's own QEMU brought. Nothing is installed.

Where it cannot be had, the box's QEMU emulates one processor. That is remembered for a day, so that
a box without a network does not wait for one at each start.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab.errors import CannotRun
from lab.places.appliance import manifest, packages, qemu
from lab.places.appliance.architecture import this_architecture
from lab.places.appliance.folders import locked, new_folder
from lab.places.appliance.manifest import Manifest
from lab.places.appliance.paths import Cache
from lab.places.base import Progress

#: By the release of Debian that the box runs: the suite with a newer QEMU for it.
SUITES = {"bookworm": "bookworm-backports"}

PACKAGES = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")

#: What a machine of ours is started with, by its path in the packages.
FIRMWARE = (
    "usr/share/seabios/bios-256k.bin",
    "usr/share/qemu/kvmvapic.bin",
    "usr/share/qemu/linuxboot_dma.bin",
)

#: Room for the packages, and what is unpacked of them; 28 MB are kept.
NEEDED_MIB = 250

#: A QEMU that could not be had is not asked for again before this.
AGAIN_S = 24 * 3600.0

_KIND = "qemu"


@dataclass(frozen=True, slots=True)
class Emulator:
    """The QEMU that runs a guest."""

    #: Its version line.
    version: str
    processors: int
    #: The folder of the appliance's own program and firmware; None for the box's.
    folder: Path | None = None
    #: Why it is the box's, with one processor, although a newer one would emulate two.
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a QEMU of the appliance's own could not be had, and when that was."""

    recipe: str
    why: str
    at_s: float

    def stands(self, recipe: str, now_s: float) -> bool:
        """Tell whether it is still to be believed."""
        return self.recipe == recipe and 0 <= now_s - self.at_s < AGAIN_S


def choose(
    cache: Cache,
    acceleration: str,
    progress: Progress,
    *,
    again: bool = False,
    rebuild: bool = False,
) -> Emulator:
    """Return the QEMU for guests of this acceleration, after fetching it where that is called for.

    ``again`` tries also what failed not long ago; ``rebuild`` fetches anew what is there. Raises
    CannotRun where the box has no QEMU at all.
    """
    box = _of_the_box(acceleration)
    if not _could_gain(box):
        return box
    try:
        return _ensure(cache, find_suite(), progress, again=again or rebuild, rebuild=rebuild)
    except CannotRun as error:
        progress.say(f"the guest has one processor: {error}")
        return replace(box, instead=str(error))


def look(cache: Cache, acceleration: str) -> Emulator | None:
    """Return the QEMU that the next start takes; None where it would fetch one first."""
    box = _of_the_box(acceleration)
    if not _could_gain(box):
        return box
    try:
        suite = find_suite()
    except CannotRun as error:
        return replace(box, instead=str(error))
    if own := _find(cache, suite):
        return own
    failure = _standing_failure(cache, suite)
    return replace(box, instead=failure.why) if failure else None


def find_suite() -> str:
    """Return the suite with a newer QEMU for the release that this box runs.

    Raises CannotRun where none is known.
    """
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    suite = SUITES.get(release.get("VERSION_CODENAME", ""))
    if suite is None or release.get("ID") != "debian":
        name = release.get("PRETTY_NAME", "this system")
        raise CannotRun(f"this QEMU is too old for two, and no newer one is known for {name}")
    return suite


def accepts(found: Manifest, suite: str) -> bool:
    """Tell whether a folder of the cache is the QEMU of this suite, made by this recipe."""
    return found.kind == _KIND and found.recipe == recipe(suite)


def recipe(suite: str) -> str:
    """Hash all that decides what is fetched and kept; a suite's newest is asked for only once."""
    text = json.dumps([suite, this_architecture().debian, PACKAGES, FIRMWARE])
    return hashlib.sha256(text.encode()).hexdigest()


def _of_the_box(acceleration: str) -> Emulator:
    version = qemu.read_version(this_architecture().qemu)
    return Emulator(version, min(qemu.processors(acceleration, version), _most()))


def _could_gain(box: Emulator) -> bool:
    """Tell whether a newer QEMU would give a guest more processors."""
    return box.processors < _most()


def _most() -> int:
    """Return how many processors a guest has at most: no more than the box, or they would wait."""
    return min(qemu.PROCESSORS, os.cpu_count() or 1)


def _find(cache: Cache, suite: str) -> Emulator | None:
    """Return the appliance's own QEMU when it is whole, and starts."""
    found = manifest.read(cache.qemu)
    if found is None or not accepts(found, suite):
        return None
    try:
        return _try(cache.qemu)
    except CannotRun:
        return None


def _try(folder: Path) -> Emulator:
    """Return the QEMU of a folder after starting it for its version. Raises CannotRun."""
    version = qemu.ask_version(str(folder / this_architecture().qemu))
    if qemu.processors("tcg", version) < qemu.PROCESSORS:
        raise CannotRun(f"{version} is too old for two, too")
    return Emulator(version, qemu.PROCESSORS, folder)


def _ensure(
    cache: Cache, suite: str, progress: Progress, *, again: bool, rebuild: bool
) -> Emulator:
    def settled() -> Emulator | None:
        if not rebuild and (own := _find(cache, suite)):
            return own
        if not again and (failure := _standing_failure(cache, suite)):
            raise CannotRun(failure.why)
        return None

    if own := settled():
        return own
    with locked(cache.lock("qemu"), "the appliance's QEMU", progress):
        if own := settled():
            return own
        try:
            own = _build(cache, suite, progress)
        except CannotRun as error:
            why = f"no newer QEMU could be had of {suite} ({error}); try: l2tp-lab appliance build"
            if kept := _find(cache, suite):
                progress.say(f"{why}. The one that was there is kept")
                return kept
            _remember(cache, Failure(recipe(suite), why, time.time()))
            raise CannotRun(why) from error
        _failure_file(cache).unlink(missing_ok=True)
        return own


def _build(cache: Cache, suite: str, progress: Progress) -> Emulator:
    architecture = this_architecture()
    with (
        progress.step(f"fetch a newer QEMU for two processors ({suite})"),
        new_folder(cache.qemu, NEEDED_MIB, "a newer QEMU") as folder,
    ):
        work = folder / "work"
        work.mkdir()
        root = packages.unpack(PACKAGES, suite, architecture.debian, work)
        for path in (f"usr/bin/{architecture.qemu}", *FIRMWARE):
            if not (root / path).is_file():
                raise CannotRun(f"its packages have no {path}")
            (root / path).rename(folder / Path(path).name)
        shutil.rmtree(work)
        own = _try(folder)
        manifest.describe(folder, _KIND, recipe(suite), {"suite": suite, "version": own.version})
    return replace(own, folder=cache.qemu)


def _standing_failure(cache: Cache, suite: str) -> Failure | None:
    try:
        failure = Failure(**json.loads(_failure_file(cache).read_text()))
        return failure if failure.stands(recipe(suite), time.time()) else None
    except (OSError, ValueError, TypeError):
        return None


def _remember(cache: Cache, failure: Failure) -> None:
    _failure_file(cache).write_text(json.dumps(asdict(failure), indent=1))


def _failure_file(cache: Cache) -> Path:
    return cache.root / "qemu.json"
