"""The first file system is a cpio archive that cpio itself reads."""

import struct

from lab.places.appliance.initramfs import APPLETS, make_initramfs


def read_cpio(data: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """Read the "newc" format: name → mode, contents, device number."""
    found: dict[str, tuple[int, bytes, tuple[int, int]]] = {}
    offset = 0
    while True:
        assert data[offset : offset + 6] == b"070701"
        fields = [int(data[offset + 6 + 8 * i : offset + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        start = offset + 110
        name = data[start : start + name_size - 1].decode()
        body = (start + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[body : body + size], (fields[9], fields[10]))
        offset = (body + size + 3) & ~3


def test_it_holds_busybox_the_script_and_the_modules_in_order() -> None:
    files = read_cpio(make_initramfs(b"BUSYBOX", [("b.ko", b"BB"), ("a.ko", b"A")]))
    assert files["bin/busybox"] == (0o100755, b"BUSYBOX", (0, 0))
    assert files["modules/order"][1] == b"b.ko\na.ko\n"
    assert files["modules/b.ko"][1] == b"BB"
    assert files["init"][0] == 0o100755
    assert files["init"][1].startswith(b"#!/bin/sh\n")
    for applet in APPLETS:
        assert files[f"bin/{applet}"][:2] == (0o120777, b"busybox")


def test_the_console_is_a_device() -> None:
    mode, _, device = read_cpio(make_initramfs(b"", []))["dev/console"]
    assert (mode, device) == (0o020600, (5, 1))


def test_the_script_calls_no_applet_that_is_not_linked() -> None:
    script = read_cpio(make_initramfs(b"", []))["init"][1].decode()
    for applet in ("mount", "umount", "insmod", "poweroff", "switch_root"):
        assert applet in script
        assert applet in APPLETS


def test_inodes_differ() -> None:
    data = make_initramfs(b"B" * 5, [("m.ko", b"M" * 7)])
    inodes = [data[i + 6 : i + 14] for i in range(len(data)) if data[i : i + 6] == b"070701"]
    assert len(set(inodes)) == len(inodes)
    assert struct.calcsize("=13I") * 2 + 6 == 110
