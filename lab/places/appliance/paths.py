"""Where the appliance keeps what it makes.

Everything large lives in the cache, which may be deleted at any time. Sockets and pid files live
in a short-named private folder, because a Unix socket's path holds at most 107 bytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from lab.errors import CannotRun


@dataclass(frozen=True, slots=True)
class Cache:
    """The folders below one cache root."""

    root: Path

    @property
    def image(self) -> Path:
        """The userland: file system, keys, busybox, manifest."""
        return self.root / "image"

    def kernel(self, name: str) -> Path:
        """One kernel bundle: kernel, first file system, modules disk, manifest."""
        return self.root / "kernels" / name

    @property
    def qemu(self) -> Path:
        """A QEMU of the appliance's own: program, firmware, manifest."""
        return self.root / "qemu"

    @property
    def warm(self) -> Path:
        """The warm snapshots, one folder per key."""
        return self.root / "warm"

    def machine(self, lab: str) -> Path:
        """What one lab's machine writes: its disk, its console's log."""
        return self.root / "machines" / lab

    def lock(self, name: str) -> Path:
        """A lock file; made with its folder. Raises CannotRun where that cannot be."""
        folder = self.root / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotRun(
                f"the cache {self.root} cannot be made: {error.strerror}. "
                "Let L2TP_LAB_CACHE name a folder of your own"
            ) from error
        return folder / f"{name}.lock"

    def runtime(self, lab: str) -> Path:
        """Return the private folder for one machine's sockets; made when missing.

        Raises CannotRun when somebody else owns it.
        """
        digest = hashlib.sha256(f"{self.root}\0{lab}".encode()).hexdigest()[:10]
        folder = _private(_runtime_root()) / digest
        return _private(folder)


def default_cache() -> Cache:
    """Return the cache of this user: ``L2TP_LAB_CACHE``, or the platform's cache folder."""
    override = os.environ.get("L2TP_LAB_CACHE")
    root = Path(override) if override else user_cache_path("l2tp-lab")
    return Cache(root.absolute())


def _runtime_root() -> Path:
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_dir():
        return Path(given) / "l2tp-lab"
    return Path(tempfile.gettempdir()) / f"l2tp-lab-{os.getuid()}"


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CannotRun(
            f"{folder} cannot be made: {error.strerror}. Let XDG_RUNTIME_DIR name a folder of "
            "your own"
        ) from error
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise CannotRun(
            f"{folder} must belong to you alone (mode 0700). Remove it, or set XDG_RUNTIME_DIR "
            "to a folder of your own"
        )
    return folder
