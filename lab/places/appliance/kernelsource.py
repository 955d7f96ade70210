"""Where a kernel comes from: what ``--kernel`` names, and how its files are laid out for us."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import struct
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from lab.errors import CannotRun, UsageError
from lab.places.appliance.architecture import this_architecture
from lab.places.appliance.build import run_part
from lab.places.base import Progress

DEFAULT = "6.12"

#: Room for the unpacked package and the bundle.
NEEDED_MIB = 1200

#: The kernels of Debian's own suites, by the name that ``--kernel`` takes.
SUITES = {"6.1": "bookworm", "6.12": "trixie", "newest": "unstable"}

_WANTED = re.compile(r"\./(boot/vmlinuz-[^/]+|(usr/)?lib/modules/[^/]+/.+)")

#: Documentation/arch/x86/boot.rst: a pointer to the version, relative to the setup header.
_VERSION_POINTER, _SETUP = 0x20E, 0x200


@dataclass(frozen=True, slots=True)
class KernelSource:
    """One kernel to make a bundle of: from a Debian ``suite``, or from ``path``."""

    #: The bundle's folder.
    name: str
    suite: str = ""
    path: Path | None = None

    @property
    def asked(self) -> str:
        """The words of ``--kernel`` that name this source."""
        return str(self.path) if self.path else self.name

    @property
    def version(self) -> str:
        """What changes when the source does. A suite's newest package is asked for only once."""
        if self.path is None:
            return self.suite
        status = self.path.stat()
        return f"{self.path} {status.st_size} {status.st_mtime_ns}"

    def unpack(self, work: Path, progress: Progress) -> tuple[Path, str]:
        """Put ``lib/modules/RELEASE`` below ``work``; return the kernel's file and its release.

        Raises CannotRun when the kernel or its modules are not to be had.
        """
        if self.path is None:
            package = this_architecture().kernel_package
            variables = {"kernel_package": package}
            run_part("kernel", self.suite, work, variables, progress, needed_mib=NEEDED_MIB)
            _extract(work / "kernel.tar", work)
            return _take_kernel(work)
        release = read_release(self.path)
        found = _modules_of(self.path, release)
        shutil.copytree(
            found,
            work / "lib/modules" / release,
            ignore=shutil.ignore_patterns("build", "source"),
        )
        return self.path, release


def find_source(kernel: str) -> KernelSource:
    """Return the source that ``--kernel`` names: a version, ``newest``, or a kernel's path.

    Raises UsageError for anything else.
    """
    if suite := SUITES.get(kernel):
        return KernelSource(kernel, suite)
    path = Path(kernel).expanduser().absolute()
    if path.is_dir():
        candidates = sorted([*path.glob("vmlinuz*"), *path.glob("boot/vmlinuz*")])
        path = candidates[0] if len(candidates) == 1 else path
    if not path.is_file():
        names = ", ".join(SUITES)
        raise UsageError(
            f"--kernel {kernel}: neither one of {names}, nor a kernel's file, nor a folder with "
            "one vmlinuz in it (and its modules in lib/modules)"
        )
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:10]
    return KernelSource(f"path-{digest}", path=path)


def verify_kernel(kernel: str) -> None:
    """Raise UsageError unless ``--kernel`` names one that a bundle can be made of."""
    if path := find_source(kernel).path:
        _modules_of(path, read_release(path))


def read_release(kernel: Path) -> str:
    """Read the release, as ``uname -r`` says it, from a bzImage. Raises UsageError."""
    try:
        with kernel.open("rb") as file:
            setup = file.read(64 * 1024)
    except OSError as error:
        raise UsageError(
            f"--kernel {kernel} cannot be read: {error.strerror}. Some boxes keep it for root; "
            f"make it yours to read: sudo chmod o+r {shlex.quote(str(kernel))}"
        ) from error
    if setup[0x202:0x206] != b"HdrS":
        raise UsageError(f"--kernel {kernel}: this is not a bootable x86 kernel (bzImage)")
    (pointer,) = struct.unpack_from("<H", setup, _VERSION_POINTER)
    text = setup[_SETUP + pointer :].split(b"\0", 1)[0].decode("ascii", "replace")
    return text.split(" ", 1)[0]


def _take_kernel(work: Path) -> tuple[Path, str]:
    """Find a package's kernel: in ``boot``, or (since Debian 14) beside its modules."""
    found = [*work.glob("boot/vmlinuz-*"), *work.glob("lib/modules/*/vmlinuz")]
    if len(found) != 1:
        raise CannotRun(f"the kernel's package holds {len(found)} kernels, and one was expected")
    kernel = found[0].rename(work / "vmlinuz")
    return kernel, read_release(kernel)


def _modules_of(kernel: Path, release: str) -> Path:
    roots = (kernel.parent, kernel.parent.parent, Path("/"))
    for root in roots:
        if (folder := root / "lib/modules" / release).is_dir():
            return folder
    places = ", ".join(str(root / "lib/modules" / release) for root in roots)
    raise UsageError(
        f"--kernel {kernel}: this is a {release} kernel, and its modules are in none of: {places}. "
        "Install them beside it: make modules_install INSTALL_MOD_PATH=FOLDER"
    )


def _extract(archive: Path, work: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and _WANTED.fullmatch(member.name):
                target = work / member.name.replace("./usr/lib/", "./lib/", 1)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(cast("IO[bytes]", tar.extractfile(member)), file)
    archive.unlink()
