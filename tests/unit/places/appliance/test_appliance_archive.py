"""What was exported arrives whole, or nothing is touched."""

import shutil
import tarfile
from contextlib import nullcontext
from pathlib import Path

import pytest

from lab.errors import CannotRun, UsageError
from lab.places.appliance import archive, image, kernels, manifest
from lab.places.appliance.paths import Cache


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
    for name in (image.ROOT, image.BUSYBOX, image.KEY):
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
    assert (here.image / image.KEY).read_text() == f"contents of {image.KEY}"
    assert (here.image / image.KEY).stat().st_mode & 0o777 == 0o600
    assert manifest.read(here.kernel("6.12")) is not None
    before = manifest.read(there.image)
    assert before is not None
    assert found.identity == before.identity


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
