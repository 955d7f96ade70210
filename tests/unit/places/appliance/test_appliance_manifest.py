"""A folder of the cache is whole, or it is noticed."""

import json
import os
from pathlib import Path

import pytest

from lab.places.appliance import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "root.ext2").write_bytes(b"contents")
    (tmp_path / "key").write_bytes(b"secret")
    manifest.describe(tmp_path, "image", "recipe", {"suite": "trixie"})
    return tmp_path


def test_a_whole_folder_is_read_back(folder: Path) -> None:
    found = manifest.read(folder)
    assert found is not None
    assert (found.kind, found.recipe, found.facts) == ("image", "recipe", {"suite": "trixie"})
    assert sorted(found.files) == ["key", "root.ext2"]


def shorten(folder: Path) -> None:
    (folder / "root.ext2").write_bytes(b"content")


def touch(folder: Path) -> None:
    os.utime(folder / "root.ext2", ns=(0, 0))


def remove(folder: Path) -> None:
    (folder / "key").unlink()


def garble(folder: Path) -> None:
    (folder / manifest.NAME).write_text("{")


def make_a_list(folder: Path) -> None:
    (folder / manifest.NAME).write_text("[]")


def age(folder: Path) -> None:
    data = json.loads((folder / manifest.NAME).read_text())
    (folder / manifest.NAME).write_text(json.dumps({**data, "format": 0}))


@pytest.mark.parametrize("damage", [shorten, touch, remove, garble, make_a_list, age])
def test_a_damaged_folder_is_not_taken(folder: Path, damage: object) -> None:
    damage(folder)  # type: ignore[operator]
    assert manifest.read(folder) is None


@pytest.mark.parametrize("name", ["../../.ssh/authorized_keys", "/etc/passwd", "..", ""])
def test_a_name_that_leads_out_is_refused(folder: Path, name: str) -> None:
    data = json.loads((folder / manifest.NAME).read_text())
    data["files"][name] = data["files"].pop("key")
    with pytest.raises(ValueError, match="leads out"):
        manifest.parse(json.dumps(data))


def test_the_digest_does_not_depend_on_how_holes_are_laid_out(tmp_path: Path) -> None:
    dense, sparse = tmp_path / "dense", tmp_path / "sparse"
    dense.write_bytes(bytes(3 << 20) + b"end")
    with sparse.open("wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
    assert manifest.digest(dense) == manifest.digest(sparse)


@pytest.mark.parametrize("other", [b"", bytes(1), bytes(2 << 20), b"x" + bytes((2 << 20) - 1)])
def test_the_digest_tells_contents_and_sizes_apart(tmp_path: Path, other: bytes) -> None:
    (tmp_path / "one").write_bytes(bytes(2 << 20) + b"1")
    (tmp_path / "other").write_bytes(other)
    assert manifest.digest(tmp_path / "one") != manifest.digest(tmp_path / "other")


def test_the_identity_is_that_of_the_contents(folder: Path, tmp_path: Path) -> None:
    before = manifest.read(folder)
    (folder / "key").write_bytes(b"other!")
    after = manifest.describe(folder, "image", "recipe", {})
    assert before is not None
    assert before.identity != after.identity
