"""What a lab has created, written before it is created, so that nothing foreign is ever removed.

The ledger is a file of JSON lines in the lab's runtime folder. Its first line says which lab, which
run and which boot; then one line for each object before it is made (``intend``), one when more of
its identity is known (``made``), and one when it is gone (``gone``). A line counts when it is
complete, newline included: an object is made only after its line is, so whoever dies in the middle
of a line has not made its object.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.network.plan import Step, kind_of
from lab.network.world import Entry, Identity

FORMAT = 1
FILE_NAME = "ledger.jsonl"


class LedgerError(LabError):
    """The ledger cannot be read or written."""


@dataclass(frozen=True)
class Header:
    """The ledger's first line: ``run`` is the random mark that all children carry."""

    lab: str
    run: str
    boot_id: str


class Ledger:
    """A lab's ledger, open for appending; several processes may append at the same time."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header

    @classmethod
    def create(cls, folder: Path, *, lab: str, boot_id: str) -> Ledger:
        """Make the runtime folder with a ledger in it, in one step that others see.

        The folder appears by a rename, so it never exists without its ledger. Raises
        FileExistsError when ``folder`` is there already.
        """
        header = Header(lab, os.urandom(16).hex(), boot_id)
        making = folder.with_name(f".{lab}.making-{header.run}")
        making.mkdir(mode=0o700)
        ledger = cls(making / FILE_NAME, header)
        ledger._append([{"ledger": FORMAT, **asdict(header)}])
        if folder.exists():
            (making / FILE_NAME).unlink()
            making.rmdir()
            raise FileExistsError(folder)
        making.rename(folder)
        return cls(folder / FILE_NAME, header)

    @classmethod
    def open(cls, folder: Path) -> Ledger:
        """Open the ledger in ``folder``; FileNotFoundError when there is none."""
        path = folder / FILE_NAME
        lines = _complete_lines(path.read_bytes())
        first = next(lines, {})
        if first.get("ledger") != FORMAT:
            raise LedgerError(
                f"{path} is not a ledger that this version of the lab reads, so nothing is removed;"
                f" look at it, remove by hand what it lists, then: rm -r {folder}"
            )
        return cls(path, Header(first["lab"], first["run"], first["boot_id"]))

    def intend(self, steps: Sequence[Step], identities: Sequence[Identity]) -> list[str]:
        """Write down a group before it is made; gives the entries' numbers."""
        numbers = [os.urandom(6).hex() for _ in steps]
        self._append(
            {
                "intend": number,
                "kind": kind_of(step),
                "step": _short(step),
                "identity": dict(identity),
            }
            for number, step, identity in zip(numbers, steps, identities, strict=True)
        )
        return numbers

    def made(self, numbers: Sequence[str], identities: Sequence[Identity]) -> None:
        """Write down what is known once the objects exist; only where it adds something."""
        self._append(
            {"made": number, "identity": dict(identity)}
            for number, identity in zip(numbers, identities, strict=True)
            if identity
        )

    def gone(self, numbers: Sequence[str]) -> None:
        """Write down that objects exist no more."""
        self._append({"gone": number} for number in numbers)

    def entries(self) -> list[Entry]:
        """Give what may exist, oldest first."""
        entries: dict[str, Entry] = {}
        for line in _complete_lines(self.path.read_bytes()):
            if "intend" in line:
                entries[line["intend"]] = Entry(
                    line["intend"], line["kind"], line["step"], line["identity"]
                )
            elif "made" in line and line["made"] in entries:
                entry = entries[line["made"]]
                identity: Mapping[str, Any] = {**entry.identity, **line["identity"]}
                entries[entry.number] = replace(entry, identity=identity, made=True)
            elif "gone" in line:
                entries.pop(line["gone"], None)
        return list(entries.values())

    def _append(self, records: Iterator[Any] | Sequence[Any] | Any) -> None:
        data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        if not data:
            return
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        handle = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Whoever wrote last may have died in the middle of a line. It is cut off rather than
            # ended: a newline of ours would complete a line that lacks nothing else.
            written = os.pread(handle, os.fstat(handle).st_size, 0)
            os.ftruncate(handle, written.rfind(b"\n") + 1)
            while data:
                data = data[os.write(handle, data) :]
            os.fdatasync(handle)
        finally:
            os.close(handle)


def _short(step: Step) -> dict[str, Any]:
    """Give a step's fields without a file's content, which may hold secrets and is not needed."""
    return {key: value for key, value in asdict(step).items() if key != "content"}


def _complete_lines(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.split(b"\n")[:-1]:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn by a kill; the object that it announced was never made
        if isinstance(record, dict):
            yield record


@contextmanager
def lab_lock(folder: Path) -> Iterator[None]:
    """Keep other commands from changing the same lab meanwhile; a killed holder lets go.

    Raises LedgerError with the holder's pid when somebody else is at it.
    """
    path = folder.with_name(f".{folder.name}.lock")
    handle = _locked(path, folder.name)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path, lab: str) -> int:
    while True:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the last lab's down has just removed the folder
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise LedgerError(
                f'another command (pid {holder}) is changing lab "{lab}"; wait for it to end, '
                f"then try again"
            ) from None
        try:
            if path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)  # its last holder removed the file between our open and our lock
