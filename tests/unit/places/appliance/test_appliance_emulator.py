"""The QEMU of a guest: the box's where it does, a newer one where there is one; no long wait."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from lab.errors import CannotRun
from lab.places.appliance import emulator, manifest, packages
from lab.places.appliance.architecture import ARCHITECTURES
from lab.places.appliance.emulator import AGAIN_S, FIRMWARE, Emulator, Failure, choose, look
from lab.places.appliance.paths import Cache

OLD, NEW = "QEMU emulator version 7.2.22", "QEMU emulator version 10.0.2"
BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm", "PRETTY_NAME": "Debian 12"}
PROGRAM = "qemu-system-x86_64"


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.steps.append(name)
        yield


def script(path: Path, version: str, code: int = 0) -> None:
    """Write a program that says a version, and ends so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{version}'\nexit {code}\n")
    path.chmod(0o755)


class Box:
    """A box with a QEMU of its own, and a stand-in for what its apt would bring."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = Cache(folder / "cache")
        self.recorder = Recorder()
        self.fetched = 0
        self.brings: Callable[[Path], None] = lambda root: script(root / f"usr/bin/{PROGRAM}", NEW)
        self._bin = folder / "bin"
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("PATH", str(self._bin), prepend=":")
        monkeypatch.setattr(emulator, "this_architecture", lambda: ARCHITECTURES["x86_64"])
        monkeypatch.setattr(emulator.os, "cpu_count", lambda: 4)
        monkeypatch.setattr(packages, "unpack", self._unpack)
        self.has(OLD)
        self.runs(BOOKWORM)

    def has(self, version: str) -> None:
        script(self._bin / PROGRAM, version)

    def runs(self, release: dict[str, str]) -> None:
        self._monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)

    def choose(self, acceleration: str = "tcg", **options: bool) -> Emulator:
        return choose(self.cache, acceleration, self.recorder, **options)

    def _unpack(self, names: object, suite: str, architecture: str, work: Path) -> Path:
        self.fetched += 1
        assert (suite, architecture) == ("bookworm-backports", "amd64")
        root = work / "root"
        for path in FIRMWARE:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path)
        self.brings(root)
        return root


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(tmp_path, monkeypatch)


def no_network(_: Path) -> None:
    raise CannotRun("apt-get: Could not resolve the mirror")


def does_not_start(root: Path) -> None:
    path = root / f"usr/bin/{PROGRAM}"
    script(path, "")
    path.write_text("#!/bin/sh\necho 'lib.so: cannot open shared object file' >&2\nexit 127\n")


def lacks_the_program(_: Path) -> None:
    pass


def is_no_newer(root: Path) -> None:
    script(root / f"usr/bin/{PROGRAM}", OLD)


CHOICES = [
    ("tcg", OLD, BOOKWORM, NEW, 2),
    ("kvm", OLD, BOOKWORM, OLD, 2),
    ("tcg", "QEMU emulator version 8.1.0", BOOKWORM, "QEMU emulator version 8.1.0", 2),
    ("tcg", OLD, {"ID": "ubuntu", "VERSION_CODENAME": "jammy"}, OLD, 1),
    ("tcg", OLD, {"ID": "ubuntu", "VERSION_CODENAME": "bookworm"}, OLD, 1),
    ("tcg", OLD, {"ID": "debian", "VERSION_CODENAME": "bullseye"}, OLD, 1),
]


@pytest.mark.parametrize(("acceleration", "version", "release", "expected", "processors"), CHOICES)
def test_a_newer_one_is_taken_when_emulation_gains_by_it_and_there_is_one(
    box: Box,
    acceleration: str,
    version: str,
    release: dict[str, str],
    expected: str,
    processors: int,
) -> None:
    box.has(version)
    box.runs(release)
    chosen = box.choose(acceleration)
    assert (chosen.version, chosen.processors) == (expected, processors)
    assert chosen.folder == (box.cache.qemu if expected == NEW else None)
    assert box.fetched == (expected == NEW)
    assert bool(box.recorder.lines) == bool(chosen.instead) == (processors == 1)


def test_a_box_with_one_processor_has_no_use_for_two(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator.os, "cpu_count", lambda: 1)
    chosen = box.choose()
    assert (chosen.processors, chosen.instead, box.fetched) == (1, "", 0)


def test_it_is_fetched_once_and_only_what_runs_a_machine_is_kept(box: Box) -> None:
    assert box.choose() == box.choose()
    assert box.fetched == 1
    assert box.recorder.steps == ["fetch a newer QEMU for two processors (bookworm-backports)"]
    names = {Path(path).name for path in FIRMWARE}
    assert {path.name for path in box.cache.qemu.iterdir()} == {PROGRAM, manifest.NAME, *names}
    assert look(box.cache, "tcg") == box.choose()


FAILURES = [
    (no_network, "Could not resolve"),
    (does_not_start, "cannot open shared object file"),
    (lacks_the_program, f"no usr/bin/{PROGRAM}"),
    (is_no_newer, "too old for two, too"),
]


@pytest.mark.parametrize(("brings", "why"), FAILURES)
def test_where_it_cannot_be_had_the_box_has_one_processor_and_says_why_in_a_line(
    box: Box, brings: Callable[[Path], None], why: str
) -> None:
    box.brings = brings
    chosen = box.choose()
    assert (chosen.version, chosen.processors, chosen.folder) == (OLD, 1, None)
    (line,) = box.recorder.lines
    assert line.startswith("the guest has one processor: ")
    assert why in line and "\n" not in line
    assert not box.cache.qemu.exists()
    assert [path.name for path in box.cache.root.glob("qemu*")] == ["qemu.json"]


def test_a_failure_is_remembered_until_a_build_asks_again(box: Box) -> None:
    assert look(box.cache, "tcg") is None
    box.brings = no_network
    box.choose()
    assert box.choose().instead
    assert box.fetched == 1
    assert len(box.recorder.lines) == 2
    known = look(box.cache, "tcg")
    assert known is not None and "Could not resolve" in known.instead
    box.brings = lambda root: script(root / f"usr/bin/{PROGRAM}", NEW)
    assert box.choose().processors == 1
    assert box.choose(again=True).processors == 2
    assert box.choose().processors == 2
    assert box.fetched == 2


@pytest.mark.parametrize(
    ("recipe", "later_s", "expected"),
    [
        ("this", 0.0, True),
        ("this", AGAIN_S - 1, True),
        ("this", AGAIN_S, False),
        ("this", -1.0, False),
        ("another", 0.0, False),
    ],
)
def test_a_failure_stands_for_a_day_and_for_the_same_question(
    recipe: str, later_s: float, expected: bool
) -> None:
    assert Failure("this", "no network", 1000.0).stands(recipe, 1000.0 + later_s) == expected


def test_what_remembers_a_failure_may_be_anything(box: Box) -> None:
    box.cache.root.mkdir()
    (box.cache.root / "qemu.json").write_text("[]")
    assert box.choose().processors == 2


def half(folder: Path) -> None:
    with (folder / PROGRAM).open("a") as file:
        file.truncate(3)


def without_firmware(folder: Path) -> None:
    (folder / "bios-256k.bin").unlink()


def without_manifest(folder: Path) -> None:
    (folder / manifest.NAME).unlink()


def of_another_recipe(folder: Path) -> None:
    path = folder / manifest.NAME
    path.write_text(path.read_text().replace('"recipe": "', '"recipe": "0'))


@pytest.mark.parametrize("damage", [half, without_firmware, without_manifest, of_another_recipe])
def test_a_folder_that_is_not_whole_is_made_anew(box: Box, damage: Callable[[Path], None]) -> None:
    box.choose()
    damage(box.cache.qemu)
    left = box.cache.root / "qemu.new-killed"
    left.mkdir()
    assert box.choose().folder == box.cache.qemu
    assert box.fetched == 2
    assert not left.exists()
    assert look(box.cache, "tcg") == box.choose()


def test_one_that_no_longer_starts_is_not_used(box: Box) -> None:
    box.choose()
    found = manifest.read(box.cache.qemu)
    assert found is not None
    script(box.cache.qemu / PROGRAM, "", 127)
    manifest.describe(box.cache.qemu, found.kind, found.recipe, found.facts)
    box.brings = does_not_start
    assert box.choose().version == OLD
    assert box.choose().version == OLD
    assert box.fetched == 2


def test_a_rebuild_fetches_anew_and_keeps_what_was_there_when_it_cannot(box: Box) -> None:
    box.choose()
    box.choose(rebuild=True)
    assert box.fetched == 2
    box.brings = no_network
    assert box.choose(rebuild=True).folder == box.cache.qemu
    assert "The one that was there is kept" in box.recorder.lines[-1]
    assert box.choose().processors == 2
    assert box.fetched == 3


def test_two_starts_at_once_fetch_it_one_after_the_other(box: Box) -> None:
    def brings(root: Path) -> None:
        with pytest.raises(Timeout), FileLock(box.cache.lock("qemu")).acquire(timeout=0):
            pass
        script(root / f"usr/bin/{PROGRAM}", NEW)

    box.brings = brings
    with ThreadPoolExecutor() as pool:
        chosen = [start.result() for start in [pool.submit(box.choose) for _ in range(2)]]
    assert [one.folder for one in chosen] == [box.cache.qemu] * 2
    assert box.fetched == 1


def test_packages_are_told_from_what_the_box_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "apt_lines", lambda _: [])
    with pytest.raises(CannotRun, match="no mirror of Debian"):
        packages.unpack(["seabios"], "bookworm-backports", "amd64", tmp_path)
    monkeypatch.setattr(packages, "apt_lines", lambda _: ["deb file:/nowhere none main"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match="there is no apt-get"):
        packages.unpack(["seabios"], "bookworm-backports", "amd64", tmp_path)


@pytest.mark.skipif(not Path("/usr/bin/apt-get").exists(), reason="a box without apt")
def test_what_is_not_signed_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    folder = archive / "dists/bookworm-backports/main/binary-amd64"
    folder.mkdir(parents=True)
    (folder / "Packages").write_text("")
    (archive / "dists/bookworm-backports/Release").write_text("Suite: bookworm-backports\n")
    line = f"deb file:{archive} bookworm-backports main"
    monkeypatch.setattr(packages, "apt_lines", lambda _: [line])
    allowed = 'Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n'
    (tmp_path / "apt.conf").write_text(allowed)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(CannotRun, match="not signed"):
        packages.unpack(["seabios"], "bookworm-backports", "amd64", tmp_path / "work")


@pytest.mark.long
def test_debians_own_is_fetched_and_starts(tmp_path: Path) -> None:
    """The real thing, 13 MB; only on a box whose release has a newer one."""
    try:
        suite = emulator.find_suite()
        packages.unpack(["seabios"], suite, "amd64", tmp_path)
    except CannotRun as error:
        pytest.skip(str(error))
    chosen = choose(Cache(tmp_path / "cache"), "tcg", Recorder())
    if chosen.folder is None:
        assert chosen.processors == 2, chosen.instead
        pytest.skip("the box's own QEMU is new enough")
    said = subprocess.run(
        [chosen.folder / PROGRAM, "-L", chosen.folder, "-machine", "q35", "-cpu", "help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "max" in said.stdout
