"""The kernels: a stock Debian one by its version, or one of the user's own by its path.

A bundle is what a machine boots: the kernel, a first file system, and a disk with the modules that
a lab needs. The userland stays the same for all of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from lab.errors import CannotRun
from lab.places.appliance import manifest, modules
from lab.places.appliance.folders import locked, new_folder
from lab.places.appliance.image import BUSYBOX
from lab.places.appliance.initramfs import SCRIPT, make_initramfs
from lab.places.appliance.kernelsource import NEEDED_MIB, KernelSource
from lab.places.appliance.manifest import Manifest
from lab.places.appliance.paths import Cache
from lab.places.base import Progress

KERNEL, INITRAMFS, MODULES = "vmlinuz", "initramfs.cpio", "modules.ext2"

_BLOCK_BYTES = 4096


def find_bundle(cache: Cache, source: KernelSource) -> Manifest | None:
    """Return the bundle's manifest when it is whole and fits this version, else None."""
    found = manifest.read(cache.kernel(source.name))
    return found if found is not None and accepts(found, source) else None


def accepts(found: Manifest, source: KernelSource) -> bool:
    """Tell whether a bundle is one of this source, made by this version's recipe."""
    return found.kind == "kernel" and found.recipe == _recipe(source)


def ensure_bundle(
    cache: Cache, source: KernelSource, progress: Progress, *, rebuild: bool = False
) -> Manifest:
    """Return the bundle, after building it when it is missing, damaged or of another recipe.

    Needs the image, whose busybox goes into the first file system. Raises CannotRun.
    """
    if not rebuild and (found := find_bundle(cache, source)):
        return found
    lock = cache.lock(f"kernel-{source.name}")
    with locked(lock, f"the appliance's kernel {source.name}", progress):
        if not rebuild and (found := find_bundle(cache, source)):
            return found
        return _build(cache, source, progress)


def _build(cache: Cache, source: KernelSource, progress: Progress) -> Manifest:
    what = f"building the kernel bundle {source.name}"
    with (
        progress.step(f"build the kernel bundle {source.name}"),
        new_folder(cache.kernel(source.name), NEEDED_MIB, what) as folder,
    ):
        work = folder / "work"
        work.mkdir()
        kernel, release = source.unpack(work, progress)
        shutil.copyfile(kernel, folder / KERNEL)
        tree = work / "lib/modules" / release
        modules.trim(tree, modules.select(modules.depmod(work, release)))
        order = modules.boot_order(modules.depmod(work, release))
        boot_modules = [(modules.module_name(p) + ".ko", (tree / p).read_bytes()) for p in order]
        busybox = (cache.image / BUSYBOX).read_bytes()
        (folder / INITRAMFS).write_bytes(make_initramfs(busybox, boot_modules))
        _make_disk(work / "lib/modules", folder / MODULES)
        shutil.rmtree(work)
        return manifest.describe(folder, "kernel", _recipe(source), {"release": release})


def _recipe(source: KernelSource) -> str:
    kept = [modules.KEPT_FOLDERS, modules.KEPT_MODULES, modules.BOOT_MODULES]
    digest = hashlib.sha256(json.dumps([source.version, kept]).encode())
    digest.update(SCRIPT.read_bytes())
    return digest.hexdigest()


def _make_disk(tree: Path, disk: Path) -> None:
    files = list(tree.rglob("*"))
    blocks = sum(path.lstat().st_size // _BLOCK_BYTES + 2 for path in files) * 11 // 10 + 512
    argv = ["genext2fs", "--root", str(tree), "--squash-uids", "--block-size", str(_BLOCK_BYTES)]
    argv += ["--size-in-blocks", str(blocks), "--number-of-inodes", str(len(files) + 64)]
    argv += ["--reserved-percentage", "0", str(disk)]
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CannotRun("genext2fs is missing. Run: apt-get install genext2fs") from None
    except subprocess.CalledProcessError as error:
        raise CannotRun(f"genext2fs failed: {error.stderr.strip()}") from error
