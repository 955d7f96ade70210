"""What --kernel may name, and what a kernel says of itself."""

import struct
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.places.appliance.kernelsource import find_source, read_release, verify_kernel

RELEASE = "6.16.3-test"


def bz_image(release: str = RELEASE) -> bytes:
    """A setup header with a version string, as Documentation/arch/x86/boot.rst lays it out."""
    data = bytearray(0x1000)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x20E, 0x300)
    text = f"{release} (someone@somewhere) #1 SMP".encode() + b"\0"
    data[0x500 : 0x500 + len(text)] = text
    return bytes(data)


class Silent:
    def say(self, text: str) -> None:
        raise AssertionError(text)

    def step(self, name: str) -> object:
        raise AssertionError(name)


@pytest.mark.parametrize(
    ("kernel", "suite"), [("6.1", "bookworm"), ("6.12", "trixie"), ("newest", "unstable")]
)
def test_a_version_names_a_suite(kernel: str, suite: str) -> None:
    source = find_source(kernel)
    assert (source.name, source.suite, source.asked) == (kernel, suite, kernel)


def test_the_release_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(bz_image())
    assert read_release(tmp_path / "vmlinuz") == RELEASE


def test_what_is_no_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"\x7fELF" + bytes(0x1000))
    with pytest.raises(UsageError, match="not a bootable x86 kernel"):
        read_release(tmp_path / "vmlinuz")


def test_a_kernel_that_only_root_may_read_is_told_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vmlinuz").write_bytes(bz_image())

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(UsageError, match=r"Permission denied.*sudo chmod o\+r"):
        read_release(tmp_path / "vmlinuz")


@pytest.mark.parametrize("where", ["vmlinuz", "boot/vmlinuz-test"])
@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_path_brings_its_modules(tmp_path: Path, where: str, named: str) -> None:
    kernel = tmp_path / "tree" / where
    kernel.parent.mkdir(parents=True)
    kernel.write_bytes(bz_image())
    modules = tmp_path / "tree/lib/modules" / RELEASE
    (modules / "kernel").mkdir(parents=True)
    (modules / "kernel/l2tp_ppp.ko").touch()
    (modules / "build").symlink_to("/nowhere")
    source = find_source(str(kernel if named == "file" else tmp_path / "tree"))
    found, release = source.unpack(tmp_path / "work", Silent())  # type: ignore[arg-type]
    assert (found, release) == (kernel, RELEASE)
    copied = tmp_path / "work/lib/modules" / RELEASE
    assert [path.name for path in sorted(copied.rglob("*"))] == ["kernel", "l2tp_ppp.ko"]


def test_a_kernel_without_its_modules_is_told(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(bz_image())
    source = find_source(str(tmp_path / "vmlinuz"))
    with pytest.raises(UsageError, match="make modules_install"):
        verify_kernel(str(tmp_path / "vmlinuz"))
    with pytest.raises(UsageError, match="make modules_install"):
        source.unpack(tmp_path / "work", Silent())  # type: ignore[arg-type]


def test_two_paths_are_two_bundles_and_a_changed_file_another_version(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(bz_image())
    first, second = find_source(str(tmp_path / "a")), find_source(str(tmp_path / "b"))
    assert first.name != second.name
    before = first.version
    (tmp_path / "a").write_bytes(bz_image() + b"more")
    assert find_source(str(tmp_path / "a")).version != before


@pytest.mark.parametrize("kernel", ["6.9", "", "/no/such/kernel"])
def test_anything_else_is_wrong_usage(kernel: str, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"6\.1, 6\.12, newest"):
        find_source(kernel)
