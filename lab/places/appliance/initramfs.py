"""The first file system: busybox, the modules that the disks need, and one script.

Written here rather than with initramfs-tools: 3 MB, not 35, and nothing to unpack under emulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Applets that the script calls by name.
APPLETS = ("sh", "mount", "umount", "insmod", "poweroff", "switch_root")

SCRIPT = Path(__file__).parent / "guest" / "initramfs" / "init"
_DIRECTORY, _FILE, _LINK, _CHARACTER_DEVICE = 0o040755, 0o100755, 0o120777, 0o020600
_CONSOLE_MAJOR, _CONSOLE_MINOR = 5, 1


def make_initramfs(busybox: bytes, modules: Sequence[tuple[str, bytes]]) -> bytes:
    """Return an uncompressed cpio archive; ``modules`` are loaded in the order given."""
    archive = _Cpio()
    for folder in ("bin", "dev", "proc", "root", "modules"):
        archive.add(folder, _DIRECTORY)
    # The kernel opens it before anything is mounted; without it the script has no output at all.
    archive.add("dev/console", _CHARACTER_DEVICE, device=(_CONSOLE_MAJOR, _CONSOLE_MINOR))
    archive.add("init", _FILE, SCRIPT.read_bytes())
    archive.add("bin/busybox", _FILE, busybox)
    for applet in APPLETS:
        archive.add(f"bin/{applet}", _LINK, b"busybox")
    for name, contents in modules:
        archive.add(f"modules/{name}", _FILE, contents)
    archive.add("modules/order", _FILE, "".join(f"{name}\n" for name, _ in modules).encode())
    return archive.end()


@dataclass(slots=True)
class _Cpio:
    """The "newc" format: Documentation/driver-api/early-userspace/buffer-format.rst."""

    data: bytearray = field(default_factory=bytearray)
    inode: int = 0

    def add(
        self, name: str, mode: int, contents: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        self.inode += 1
        path = name.encode() + b"\0"
        links = 2 if mode == _DIRECTORY else 1
        fields = (self.inode, mode, 0, 0, links, 0, len(contents), 0, 0, *device, len(path), 0)
        self.data += b"070701" + b"".join(b"%08X" % value for value in fields) + path
        self._pad()
        self.data += contents
        self._pad()

    def end(self) -> bytes:
        self.inode = -1
        self.add("TRAILER!!!", 0)
        return bytes(self.data)

    def _pad(self) -> None:
        self.data += bytes(-len(self.data) % 4)
