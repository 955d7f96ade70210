"""Only what changed travels, and what is gone goes there too."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from lab.places.appliance.code import pack, read_tree


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("l2tp/wire.py", "lab/cli.py", "tests/unit/test_wire.py", "pyproject.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for name in ("lab/__pycache__/cli.pyc", "docs/index.md", ".git/HEAD"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


def test_the_tree_is_what_the_guest_needs(project: Path) -> None:
    assert sorted(read_tree(project)) == [
        "l2tp/wire.py",
        "lab/cli.py",
        "pyproject.toml",
        "tests/unit/test_wire.py",
    ]


def test_nothing_travels_when_nothing_changed(project: Path) -> None:
    tree = read_tree(project)
    assert pack(tree, tree, project) == b""


def test_an_empty_guest_gets_everything(project: Path) -> None:
    tree = read_tree(project)
    assert names(pack(tree, {}, project)) == sorted(tree)


def edit(path: Path) -> None:
    path.write_text("other")


def touch(path: Path) -> None:
    os.utime(path, (0, 0))


def make_executable(path: Path) -> None:
    path.chmod(0o755)


@pytest.mark.parametrize("change", [edit, touch, make_executable])
def test_a_changed_file_travels_alone(project: Path, change: object) -> None:
    before = read_tree(project)
    change(project / "lab/cli.py")  # type: ignore[operator]
    assert names(pack(read_tree(project), before, project)) == ["lab/cli.py"]


def test_a_removed_file_is_listed(project: Path) -> None:
    before = read_tree(project)
    (project / "lab/cli.py").unlink()
    archive = pack(read_tree(project), before, project)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        listing = tar.extractfile(".removed")
        assert listing is not None
        assert listing.read() == b"lab/cli.py\0"


def test_times_stay_and_owners_do_not(project: Path) -> None:
    os.utime(project / "lab/cli.py", (1_000_000_000, 1_000_000_000))
    (project / "l2tp/wire.py").chmod(0o600)
    with tarfile.open(fileobj=io.BytesIO(pack(read_tree(project), {}, project))) as tar:
        assert tar.getmember("lab/cli.py").mtime == 1_000_000_000
        wire = tar.getmember("l2tp/wire.py")
        assert (wire.uid, wire.gid, wire.uname, wire.mode) == (0, 0, "", 0o644)
