"""Which modules of a stock kernel the appliance keeps, and what they need in turn."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from lab.errors import CannotRun

#: Folders kept whole, below ``kernel/``.
KEPT_FOLDERS = (
    "arch/x86/crypto",
    "crypto",
    "drivers/net/ppp",
    "drivers/net/wireguard",
    "drivers/virtio",
    "fs/ext4",
    "fs/overlayfs",
    "lib",
    "net/8021q",
    "net/bridge",
    "net/core",
    "net/ipv4",
    "net/ipv6",
    "net/key",
    "net/l2tp",
    "net/llc",
    "net/netfilter",
    "net/netlink",
    "net/packet",
    "net/sched",
    "net/unix",
    "net/xfrm",
)

#: Single modules kept, by name.
KEPT_MODULES = (
    "8021q",
    "bonding",
    "dummy",
    "geneve",
    "gre",
    "ifb",
    "ipvlan",
    "macvlan",
    "netconsole",
    "netdevsim",
    "nlmon",
    "qemu_fw_cfg",
    "tap",
    "tun",
    "veth",
    "virtio_blk",
    "virtio_net",
    "virtio-rng",
    "vrf",
    "vxlan",
)

#: What the first file system loads, in this order, each after what it depends on. A module that
#: the kernel has built in is not there, and is not missed.
BOOT_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")


def read_dependencies(modules_dep: str) -> dict[str, list[str]]:
    """Parse ``modules.dep``: each module's path, and the paths it needs, nearest first."""
    rows = (line.partition(":") for line in modules_dep.splitlines() if ":" in line)
    return {path: needed.split() for path, _, needed in rows}


def module_name(path: str) -> str:
    """Return the name in a module's path: ``kernel/net/l2tp/l2tp_ppp.ko.xz`` → ``l2tp_ppp``."""
    return PurePosixPath(path).name.partition(".ko")[0]


def select(dependencies: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the paths to keep: the chosen ones and everything that they need."""
    names = {*KEPT_MODULES, *BOOT_MODULES}
    folders = tuple(f"kernel/{folder}/" for folder in KEPT_FOLDERS)
    chosen = {p for p in dependencies if p.startswith(folders) or module_name(p) in names}
    return chosen.union(*(dependencies[path] for path in chosen))


def boot_order(dependencies: Mapping[str, list[str]]) -> list[str]:
    """Return the paths that the first file system loads, each after what it needs."""
    by_name = {module_name(path): path for path in dependencies}
    order: dict[str, None] = {}
    for name in BOOT_MODULES:
        if path := by_name.get(name):
            for needed in [*reversed(dependencies[path]), path]:
                order.setdefault(needed)
    return list(order)


def trim(folder: Path, kept: set[str]) -> None:
    """Remove all modules but ``kept`` from ``lib/modules/RELEASE``, and unpack those.

    Unpacked modules load several times faster under emulation, and busybox loads no others.
    """
    for path in [path for path in folder.rglob("*.ko*") if path.is_file()]:
        if str(path.relative_to(folder)) in kept:
            unpack(path)
        else:
            path.unlink()
    for link in ("build", "source"):
        (folder / link).unlink(missing_ok=True)


def unpack(path: Path) -> None:
    """Replace a compressed module by the plain one. Raises CannotRun when nothing here can."""
    match path.suffix:
        case ".ko":
            return
        case ".xz":
            contents = lzma.decompress(path.read_bytes())
        case ".zst":
            contents = _zstd(path)
        case suffix:
            raise CannotRun(f"{path}: modules compressed as {suffix} are not known here")
    path.with_suffix("").write_bytes(contents)
    path.unlink()


def _zstd(path: Path) -> bytes:
    if shutil.which("zstd") is None:
        raise CannotRun("this kernel's modules need zstd. Run: apt-get install zstd")
    return subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout


def depmod(base: Path, release: str) -> dict[str, list[str]]:
    """Write ``modules.dep`` and its like below ``base``, and return the dependencies."""
    # A user's PATH has no sbin on Debian.
    program = shutil.which("depmod", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise CannotRun("depmod is missing. Run: apt-get install kmod")
    argv = [program, "--basedir", str(base), release]
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise CannotRun(f"depmod failed for {release}: {error.stderr.strip()}") from error
    return read_dependencies((base / "lib/modules" / release / "modules.dep").read_text())
