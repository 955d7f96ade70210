"""The appliance as one file: to carry to a box that cannot build it.

A plain tar. Its first member, ``l2tp-lab-appliance.json``, holds the manifests of what follows: the
image with its keys, the kernel bundles, and the QEMU of the appliance's own where there is one. The
file system travels as a compressed qcow2 file.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.errors import CannotRun, UsageError
from lab.places.appliance import emulator, image, kernels, manifest
from lab.places.appliance.folders import locked, new_folder, no_space, require_space
from lab.places.appliance.image import ROOT
from lab.places.appliance.kernelsource import SUITES, find_source
from lab.places.appliance.manifest import Entry, Manifest
from lab.places.appliance.paths import Cache
from lab.places.base import Progress

_CONTENTS = "l2tp-lab-appliance.json"
_PACKED_ROOT = "root.qcow2"
_EXPORT_MIB = 400
_EXAMPLE = "l2tp-lab-appliance.tar"
_MIB = 1024 * 1024

#: The part of an export that is a QEMU, and the folder of the cache.
_QEMU = "qemu"


def export_appliance(cache: Cache, target: Path, progress: Progress) -> None:
    """Write the image, every kernel bundle and a QEMU that are there to one file.

    The file holds the key that opens machines made from this image. Raises CannotRun when there
    is no image, or no space.
    """
    parts = dict(_whole_parts(cache))
    if "image" not in parts:
        raise CannotRun("there is no appliance to export yet. Run: l2tp-lab appliance build")
    require_writable(target)
    require_space(target.parent, _EXPORT_MIB, "the export")
    with (
        locked(cache.lock("image"), "the appliance's image", progress),
        tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch,
        progress.step(f"export the appliance to {target}"),
    ):
        packed, whole = Path(scratch) / _PACKED_ROOT, Path(scratch) / target.name
        _convert(cache.image / ROOT, "raw", packed, "qcow2", "-c", "-o", "compression_type=zstd")
        try:
            _write(cache, parts, packed, whole)
        except OSError as error:
            raise no_space(target.parent, _EXPORT_MIB, "the export") from error
        whole.chmod(0o600)
        whole.replace(target)


def import_appliance(cache: Cache, source: Path, progress: Progress) -> None:
    """Put an exported appliance in the place of this box's own.

    Everything is hashed before anything is replaced. Raises UsageError for a file that is no
    export, was damaged, or was made by another version of l2tp-lab; CannotRun without space.
    """
    if not source.is_file():
        raise UsageError(f"{source}: there is no such file")
    try:
        with (
            locked(cache.lock("image"), "the appliance's image", progress),
            progress.step(f"import the appliance from {source}"),
            tarfile.open(source, "r:") as tar,
            # All of them are left in the end, and only then replace what was there.
            ExitStack() as parts,
        ):
            for name, found in _read_contents(tar, source).items():
                parts.enter_context(_imported(cache, tar, name, found, source))
    except (tarfile.TarError, EOFError, KeyError, ValueError) as error:
        raise UsageError(f"{source} is damaged, or no export of the appliance: {error}") from error


def require_writable(target: Path) -> None:
    """Raise UsageError where the file cannot be written: packing it takes a minute."""
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file in it, such as {target / _EXAMPLE}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error


def _whole_parts(cache: Cache) -> Iterator[tuple[str, Manifest]]:
    if found := manifest.read(cache.image):
        yield "image", found
    for name in SUITES:
        if found := manifest.read(cache.kernel(name)):
            yield f"kernels/{name}", found
    if found := manifest.read(cache.qemu):
        yield _QEMU, found


def _write(cache: Cache, parts: dict[str, Manifest], packed: Path, target: Path) -> None:
    contents = {name: json.loads(manifest.dump(found)) for name, found in parts.items()}
    text = target.with_suffix(".json")
    text.write_text(json.dumps(contents, indent=1))
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(text, _CONTENTS, filter=_anonymous)
        for name, found in parts.items():
            for file in found.files:
                path = packed if file == ROOT else cache.root / name / file
                tar.add(path, f"{name}/{_packed_name(file)}", filter=_anonymous)


def _packed_name(file: str) -> str:
    return _PACKED_ROOT if file == ROOT else file


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _read_contents(tar: tarfile.TarFile, source: Path) -> dict[str, Manifest]:
    first = tar.next()
    stream = tar.extractfile(first) if first is not None and first.name == _CONTENTS else None
    if stream is None:
        raise UsageError(
            f"{source} is no export of the appliance. One is written by: "
            "l2tp-lab appliance export FILE"
        )
    data: dict[str, Any] = json.loads(stream.read())
    found = {name: manifest.parse(json.dumps(part)) for name, part in data.items()}
    known = {"image", _QEMU, *(f"kernels/{name}" for name in SUITES)}
    if "image" not in found or not found.keys() <= known:
        raise UsageError(f"{source} holds {', '.join(found)}: not an image with its kernels")
    for name, part in found.items():
        if not _accepts(name, part):
            raise UsageError(
                f"{source} was made by another version of l2tp-lab: its {name} does not fit this "
                "one. Export it again with this version, or build here: l2tp-lab appliance build"
            )
    return found


def _accepts(name: str, part: Manifest) -> bool:
    if name == "image":
        return image.accepts(replace(part, facts={**part.facts, "origin": "imported"}))
    if name == _QEMU:
        return emulator.accepts(part, part.facts.get("suite", ""))
    return kernels.accepts(part, find_source(name.removeprefix("kernels/")))


@contextmanager
def _imported(
    cache: Cache, tar: tarfile.TarFile, name: str, found: Manifest, source: Path
) -> Iterator[None]:
    """Unpack a part and check it; it takes its place when the block succeeds."""
    target = cache.root / name
    size_mib = sum(tar.getmember(f"{name}/{_packed_name(file)}").size for file in found.files)
    with new_folder(target, size_mib * 4 // _MIB + 50, f"importing {name}") as folder:
        for file in found.files:
            member = tar.extractfile(f"{name}/{_packed_name(file)}")
            if member is None:
                raise UsageError(f"{source} is damaged: {name}/{file} is not a file")
            with member, (folder / _packed_name(file)).open("wb") as copy:
                shutil.copyfileobj(member, copy)
        if ROOT in found.files:
            _convert(folder / _PACKED_ROOT, "qcow2", folder / ROOT, "raw")
            (folder / _PACKED_ROOT).unlink()
        entries = {
            file: _check(folder / file, entry, source) for file, entry in found.files.items()
        }
        imported = replace(found, files=entries, facts={**found.facts, "origin": "imported"})
        (folder / manifest.NAME).write_text(manifest.dump(imported))
        yield


def _check(path: Path, entry: Entry, source: Path) -> Entry:
    """Return the entry with this box's time, after comparing the contents."""
    if manifest.digest(path) != entry.digest:
        raise UsageError(f"{source} is damaged: {path.name} is not what its manifest says")
    path.chmod(0o700 if path.name.startswith("qemu-system-") else 0o600)
    return replace(entry, mtime_ns=path.stat().st_mtime_ns)


def _convert(source: Path, kind: str, target: Path, new_kind: str, *options: str) -> None:
    argv = ["qemu-img", "convert", "-f", kind, "-O", new_kind, *options, str(source), str(target)]
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CannotRun("qemu-img is missing. Run: apt-get install qemu-utils") from None
    except subprocess.CalledProcessError as error:
        if "No space left" in error.stderr:
            raise no_space(target.parent, _EXPORT_MIB, f"converting {source.name}") from error
        raise UsageError(f"{source} cannot be read: {error.stderr.strip()}") from error
