"""What was exported arrives whole, or nothing is touched."""

import os
import shutil
import tarfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from lab.errors import CannotRun, UsageError
from lab.places.appliance import archive, emulator, image, kernels, keys, manifest
from lab.places.appliance.paths import Cache

REAL_CONVERT = archive._convert


class Quiet:
    def say(self, text: str) -> None:
        pass

    def step(self, name: str) -> nullcontext[None]:
        return nullcontext()


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """No qemu-img, and recipes that are short words."""

    def copy(source: Path, _: str, target: Path, __: str, *___: str) -> None:
        shutil.copyfile(source, target)

    monkeypatch.setattr(archive, "_convert", copy)
    monkeypatch.setattr(archive, "require_space", lambda *_: None)
    monkeypatch.setattr(image, "_guest_files", lambda: "guest")
    monkeypatch.setattr(kernels, "_recipe", lambda source: f"recipe of {source.name}")


def make(cache: Cache, *, guest: str = "guest", kernel_recipe: str = "recipe of 6.12") -> None:
    cache.image.mkdir(parents=True)
    for name in (image.ROOT, image.BUSYBOX, keys.KEY):
        (cache.image / name).write_text(f"contents of {name}")
    facts = {"guest": guest, "origin": "built"}
    manifest.describe(cache.image, "image", "another box's recipe", facts)
    bundle = cache.kernel("6.12")
    bundle.mkdir(parents=True)
    (bundle / kernels.KERNEL).write_text("kernel")
    manifest.describe(bundle, "kernel", kernel_recipe, {"release": "6.12.1"})


def test_an_export_is_imported_whole(tmp_path: Path) -> None:
    there, here, file = Cache(tmp_path / "there"), Cache(tmp_path / "here"), tmp_path / "file.tar"
    make(there)
    archive.export_appliance(there, file, Quiet())
    assert file.stat().st_mode & 0o777 == 0o600  # it holds a private key
    archive.import_appliance(here, file, Quiet())
    found = image.find_image(here)
    assert found is not None
    assert (here.image / keys.KEY).read_text() == f"contents of {keys.KEY}"
    assert (here.image / keys.KEY).stat().st_mode & 0o777 == 0o600
    assert manifest.read(here.kernel("6.12")) is not None
    before = manifest.read(there.image)
    assert before is not None
    assert found.identity == before.identity


def add_qemu(cache: Cache, suite: str = "bookworm-backports", of: str = "") -> None:
    cache.qemu.mkdir()
    (cache.qemu / "qemu-system-x86_64").write_text("program")
    (cache.qemu / "bios-256k.bin").write_text("firmware")
    recipe = emulator.recipe(of or suite)
    manifest.describe(cache.qemu, "qemu", recipe, {"suite": suite})


def test_an_export_carries_the_qemu_that_runs_the_guest(tmp_path: Path) -> None:
    there, here, file = Cache(tmp_path / "there"), Cache(tmp_path / "here"), tmp_path / "file.tar"
    make(there)
    add_qemu(there)
    archive.export_appliance(there, file, Quiet())
    archive.import_appliance(here, file, Quiet())
    found = manifest.read(here.qemu)
    assert found is not None
    assert emulator.accepts(found, "bookworm-backports")
    assert os.access(here.qemu / "qemu-system-x86_64", os.X_OK)
    assert not os.access(here.qemu / "bios-256k.bin", os.X_OK)


def test_a_qemu_of_another_recipe_is_refused(tmp_path: Path) -> None:
    there, file = Cache(tmp_path / "there"), tmp_path / "file.tar"
    make(there)
    add_qemu(there, of="older")
    archive.export_appliance(there, file, Quiet())
    with pytest.raises(UsageError, match="its qemu does not fit"):
        archive.import_appliance(Cache(tmp_path / "here"), file, Quiet())


def test_without_an_image_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="appliance build"):
        archive.export_appliance(Cache(tmp_path), tmp_path / "file.tar", Quiet())


def cut(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)


def flip(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"contents of root", b"CONTENTS of root"))


def replace_by_text(file: Path) -> None:
    file.write_text("hello")


def replace_by_foreign_tar(file: Path) -> None:
    (file.parent / "x").touch()
    with tarfile.open(file, "w") as tar:
        tar.add(file.parent / "x", "x")


@pytest.mark.parametrize("damage", [cut, flip, replace_by_text, replace_by_foreign_tar])
def test_a_damaged_or_foreign_file_changes_nothing(tmp_path: Path, damage: object) -> None:
    there, here, file = Cache(tmp_path / "there"), Cache(tmp_path / "here"), tmp_path / "file.tar"
    make(there)
    archive.export_appliance(there, file, Quiet())
    damage(file)  # type: ignore[operator]
    with pytest.raises(UsageError, match=str(file)):
        archive.import_appliance(here, file, Quiet())
    assert not here.image.exists()


def test_a_damaged_kernel_leaves_the_image_as_it_was(tmp_path: Path) -> None:
    there, here, file = Cache(tmp_path / "there"), Cache(tmp_path / "here"), tmp_path / "file.tar"
    make(there)
    archive.export_appliance(there, file, Quiet())
    make(here)
    before = (here.image / manifest.NAME).stat()
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"kernel" + bytes(506), b"KERNEL" + bytes(506)))
    assert file.read_bytes() != whole
    with pytest.raises(UsageError, match="vmlinuz is not what its manifest says"):
        archive.import_appliance(here, file, Quiet())
    assert (here.image / manifest.NAME).stat().st_ino == before.st_ino
    assert sorted(path.name for path in here.root.iterdir()) == ["image", "kernels", "locks"]


def test_where_the_export_cannot_be_written_is_told_beforehand(tmp_path: Path) -> None:
    make(Cache(tmp_path / "there"))
    with pytest.raises(UsageError, match="is a folder; name a file in it"):
        archive.export_appliance(Cache(tmp_path / "there"), tmp_path, Quiet())
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written: "):
        archive.export_appliance(Cache(tmp_path / "there"), tmp_path / "file/below", Quiet())


def test_a_disk_that_fills_up_is_no_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "qemu-img"
    program.write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match=r"needs .* MB in .*larger disk"):
        REAL_CONVERT(tmp_path / "root.qcow2", "qcow2", tmp_path / "root.ext2", "raw")


@pytest.mark.parametrize("other", [{"guest": "older"}, {"kernel_recipe": "older"}])
def test_an_export_of_another_version_is_refused(tmp_path: Path, other: dict[str, str]) -> None:
    there, here, file = Cache(tmp_path / "there"), Cache(tmp_path / "here"), tmp_path / "file.tar"
    make(there, **other)
    archive.export_appliance(there, file, Quiet())
    with pytest.raises(UsageError, match="another version"):
        archive.import_appliance(here, file, Quiet())
    assert not here.image.exists()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        archive.import_appliance(Cache(tmp_path), tmp_path / "none.tar", Quiet())
