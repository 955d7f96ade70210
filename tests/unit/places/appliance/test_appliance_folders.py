"""A folder is made whole or not at all."""

import errno
from collections import namedtuple
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

from lab.errors import CannotRun
from lab.places.appliance import folders
from lab.places.appliance.folders import locked, new_folder

Usage = namedtuple("Usage", "total used free")


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def step(self, name: str) -> nullcontext[None]:
        self.lines.append(name)
        return nullcontext()


def test_success_puts_the_new_folder_in_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "image"
    target.mkdir()
    (target / "old").touch()
    with new_folder(target, 0, "a test") as folder:
        (folder / "new").touch()
        assert (target / "old").exists()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


def test_failure_leaves_the_old_one_and_nothing_half_made(tmp_path: Path) -> None:
    target = tmp_path / "image"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(KeyboardInterrupt), new_folder(target, 0, "a test") as folder:
        (folder / "new").touch()
        raise KeyboardInterrupt
    assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    for name in ("image.new-abc", "image.old-abc", "images", "image-mine"):
        (tmp_path / name).mkdir()
    with new_folder(tmp_path / "image", 0, "a test"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "image-mine", "images"]


def test_a_full_disk_is_told_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: Usage(0, 0, 10 << 20))
    with (
        pytest.raises(CannotRun, match=r"a test needs 11 MB in .*, and 10 MB are free"),
        new_folder(tmp_path / "image", 11, "a test"),
    ):
        pytest.fail("the block ran")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_told(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(CannotRun, match="a test needs 0 MB"),
        new_folder(tmp_path / "i", 0, "a test"),
    ):
        raise OSError(number, "full")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), new_folder(tmp_path / "i", 0, "a test"):
        raise PermissionError(errno.EACCES, "no")


def test_whoever_waits_says_for_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = FileLock(tmp_path / "lock")
    other.acquire()
    recorder = Recorder()
    original = FileLock.acquire

    def acquire(self: FileLock, *args: object, **kwargs: object) -> object:
        if kwargs.get("timeout") != 0:
            other.release()
        return original(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with locked(tmp_path / "lock", "the image", recorder):
        pass
    assert len(recorder.lines) == 1
    assert "until another command has done with the image" in recorder.lines[0]


def test_a_free_lock_is_taken_in_silence(tmp_path: Path) -> None:
    recorder = Recorder()
    with locked(tmp_path / "lock", "the image", recorder):
        pass
    assert recorder.lines == []


def test_a_scratch_folder_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    with pytest.raises(CannotRun, match="TMPDIR=/nonexistent is no folder"):
        folders.scratch_folder()
