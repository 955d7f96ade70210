"""The userland: a small Debian as one file system, with this project's wheels and its own keys."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from typing import Any

from lab.places.appliance import code, manifest
from lab.places.appliance.architecture import this_architecture
from lab.places.appliance.build import run_part
from lab.places.appliance.code import GUEST, TOOLS
from lab.places.appliance.folders import locked, new_folder
from lab.places.appliance.keys import make_keys
from lab.places.appliance.manifest import Manifest
from lab.places.appliance.paths import Cache
from lab.places.appliance.wheels import guest_wheels
from lab.places.base import Progress

SUITE = "trixie"
PYTHON = "3.13"

#: Room for the userland, its archive on the way, and the wheels.
NEEDED_MIB = 1600

#: The file system has this size; its file takes only what is written.
FILE_SYSTEM_BLOCKS = (3 << 30) // 4096

PACKAGES = (
    "bpftool",
    "bpftrace",
    "busybox-static",
    "charon-systemd",
    "dropbear-bin",
    "ethtool",
    "iperf3",
    "iproute2",
    "iputils-ping",
    "kmod",
    "mount",
    "nftables",
    "openssh-sftp-server",
    "ppp",
    "procps",
    "python3",
    "python3-bpfcc",
    "radvd",
    "strongswan-pki",
    "tcpdump",
    "tshark",
    "util-linux",
    "wireshark-common",
    "xl2tpd",
)

#: Never unpacked.
LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)

#: Removed at the end: what only an installation needs.
REMOVED = (
    "/usr/lib/systemd/systemd-*",
    "/usr/share/bash-completion",
    "/var/cache/debconf/*",
    "/var/lib/apt/lists/*",
)

#: What runs before the code can be brought up to date, and so decides whether an image fits.
_EARLY = (GUEST / "etc" / "inittab", TOOLS / "boot")

ROOT, BUSYBOX = "root.ext2", "busybox"

#: The code that the image holds, compiled: what changes later is brought over SSH.
CODE = "code.json"


def find_image(cache: Cache) -> Manifest | None:
    """Return the image's manifest when it is whole and fits this version, else None."""
    found = manifest.read(cache.image)
    return found if found is not None and accepts(found) else None


def accepts(found: Manifest) -> bool:
    """Tell whether an image fits this version.

    One that was built here is made by this very recipe. One that was imported may have other
    versions of the wheels, but the files that the host talks to are these.
    """
    if found.kind != "image":
        return False
    if found.facts.get("origin") == "imported":
        return found.facts.get("guest") == _guest_files()
    return found.recipe == _recipe(_variables())


def ensure_image(cache: Cache, progress: Progress, *, rebuild: bool = False) -> Manifest:
    """Return the image, after building it when it is missing, damaged or of another recipe.

    Raises CannotRun when it cannot be built.
    """
    if not rebuild and (found := find_image(cache)):
        return found
    with locked(cache.lock("image"), "the appliance's image", progress):
        if not rebuild and (found := find_image(cache)):
            return found
        return _build(cache, progress)


def read_code(cache: Cache) -> dict[str, str]:
    """Return the code that the image holds, as ``code.read_tree`` says it."""
    tree: dict[str, str] = json.loads((cache.image / CODE).read_text())
    return tree


def _build(cache: Cache, progress: Progress) -> Manifest:
    variables = _variables()
    with (
        progress.step("build the appliance's image"),
        new_folder(cache.image, NEEDED_MIB, "building the appliance's image") as folder,
    ):
        work = folder / "work"
        (work / "keys").mkdir(parents=True)
        make_keys(folder, work / "keys")
        tree = code.read_tree()
        (work / "code.tar").write_bytes(code.pack(tree, {}))
        (folder / CODE).write_text(json.dumps(tree))
        run_part("image", SUITE, work, variables, progress, needed_mib=NEEDED_MIB)
        for name in (ROOT, BUSYBOX):
            (work / name).rename(folder / name)
        shutil.rmtree(work)
        facts = {"suite": SUITE, "python": PYTHON, "guest": _guest_files(), "origin": "built"}
        return manifest.describe(folder, "image", _recipe(variables), facts)


def _variables() -> dict[str, Any]:
    return {
        "packages": list(PACKAGES),
        "left_out": list(LEFT_OUT),
        "removed": list(REMOVED),
        "wheels": guest_wheels(PYTHON),
        "wheel_platforms": list(this_architecture().wheel_platforms),
        "guest_python": PYTHON,
        "guest": str(GUEST),
        "pip_python": sys.executable,
        "file_system_blocks": FILE_SYSTEM_BLOCKS,
    }


def _recipe(variables: dict[str, Any]) -> str:
    """Hash all that decides the image's contents, and nothing that only says where this box is."""
    here = ("guest", "pip_python")
    decisive = {name: value for name, value in variables.items() if name not in here}
    text = json.dumps([SUITE, _guest_files(), decisive], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _guest_files() -> str:
    digest = hashlib.sha256()
    for path in _EARLY:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
