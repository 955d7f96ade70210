"""What a folder of the cache must hold, so that half-made and foreign files are noticed.

A full check reads and hashes everything; it is made once, when a folder is built or imported. The
everyday check compares sizes and times only.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "manifest.json"

#: Raised when the layout of a folder changes, so that older ones are built anew.
FORMAT = 1

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the folder."""

    size_bytes: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder is, how it was made, and what it holds.

    ``recipe`` is a hash of everything that decided the contents; ``facts`` are what readers want
    to know without opening the files (a kernel's release, for instance).
    """

    kind: str
    recipe: str
    facts: Mapping[str, str]
    files: Mapping[str, Entry]
    format: int = FORMAT

    @property
    def identity(self) -> str:
        """A hash over the contents: two folders with one identity are interchangeable."""
        lines = [f"{name} {entry.digest}" for name, entry in sorted(self.files.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def describe(folder: Path, kind: str, recipe: str, facts: Mapping[str, str]) -> Manifest:
    """Hash every file of a freshly made folder and write its manifest."""
    files = {
        path.name: Entry(path.stat().st_size, path.stat().st_mtime_ns, digest(path))
        for path in sorted(folder.iterdir())
        if path.name != NAME
    }
    manifest = Manifest(kind, recipe, dict(facts), files)
    (folder / NAME).write_text(dump(manifest))
    return manifest


def dump(manifest: Manifest) -> str:
    """Write a manifest as JSON."""
    return json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n"


def parse(text: str) -> Manifest:
    """Read a manifest. Raises ValueError when the text is not one, or of another format."""
    try:
        data = json.loads(text)
        files = {name: Entry(**entry) for name, entry in data.pop("files").items()}
        manifest = Manifest(files=files, **data)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a manifest: {error}") from error
    if manifest.format != FORMAT:
        raise ValueError(f"made by another version (format {manifest.format})")
    if any(name in ("", ".", "..", NAME) or "/" in name for name in files):
        raise ValueError("a file's name leads out of the folder")
    return manifest


def read(folder: Path) -> Manifest | None:
    """Return the folder's manifest when the folder is whole by sizes and times, else None."""
    try:
        manifest = parse((folder / NAME).read_text())
        for name, entry in manifest.files.items():
            status = (folder / name).stat()
            if (status.st_size, status.st_mtime_ns) != (entry.size_bytes, entry.mtime_ns):
                return None
    except (OSError, ValueError):
        return None
    return manifest


def digest(path: Path) -> str:
    """Hash one file's contents; holes and stretches of zeros cost nothing.

    Every chunk that is not all zeros goes into a SHA-256 with its offset, and the file's size at
    the end: a copy has the same digest however it lays out its holes.
    """
    result = hashlib.sha256()
    size = path.stat().st_size
    with path.open("rb") as file:
        for offset in _data_chunks(file.fileno(), size):
            chunk = os.pread(file.fileno(), _CHUNK_BYTES, offset)
            if chunk.strip(b"\0"):
                result.update(offset.to_bytes(8, "little") + chunk)
    result.update(size.to_bytes(8, "little"))
    return result.hexdigest()


def _data_chunks(fd: int, size: int) -> Iterator[int]:
    """Yield the offsets of the chunks that may hold data."""
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        offset -= offset % _CHUNK_BYTES
        yield offset
        offset += _CHUNK_BYTES
