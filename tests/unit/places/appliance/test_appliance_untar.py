"""A guest's tar makes plain files below its target, and nothing else."""

import io
import tarfile
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.places.appliance.untar import unpack


def archive(*members: tuple[str, bytes, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, contents in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.size = len(contents)
            member.linkname = "/etc/passwd"
            tar.addfile(member, io.BytesIO(contents))
    buffer.seek(0)
    return buffer


def test_a_folder_arrives_whole(tmp_path: Path) -> None:
    stream = archive(
        ("./", tarfile.DIRTYPE, b""),
        ("./empty", tarfile.DIRTYPE, b""),
        ("./deep/run.json", tarfile.REGTYPE, b"{}"),
    )
    unpack(stream, tmp_path / "run")
    assert (tmp_path / "run/deep/run.json").read_bytes() == b"{}"
    assert (tmp_path / "run/empty").is_dir()


def test_a_single_file_arrives_under_the_name_asked_for(tmp_path: Path) -> None:
    unpack(archive((".", tarfile.REGTYPE, b"text")), tmp_path / "some/log.txt")
    assert (tmp_path / "some/log.txt").read_bytes() == b"text"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="leads out"):
        unpack(archive((name, tarfile.REGTYPE, b"")), tmp_path / "run")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_not_made(tmp_path: Path, kind: bytes) -> None:
    unpack(archive(("./odd", kind, b"")), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_stream_makes_nothing(tmp_path: Path) -> None:
    unpack(io.BytesIO(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
