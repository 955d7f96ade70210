"""Datagrams as tshark sees them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LAC, LNS, PORT = "192.0.2.1", "192.0.2.2", 1701
_FIELDS = ("frame.protocols", "ip.src", "_ws.expert.severity", "_ws.expert.message", "_ws.col.info")


@dataclass(frozen=True)
class Dissected:
    """One packet: its protocols, its source, what tshark warns of, and its one-line summary."""

    protocols: str
    source: str
    severity: str
    warnings: str
    summary: str


def write_capture(datagrams: Iterable[tuple[bool, bytes]], folder: Path) -> Path:
    """Write UDP payloads, each with whether the LAC sent it, as a capture of the two's link."""
    text = "".join(
        f"{'I' if by_lac else 'O'}\n000000 {data.hex(' ')}\n\n" for by_lac, data in datagrams
    )
    source, target = folder / "datagrams.txt", folder / "datagrams.pcapng"
    source.write_text(text)
    ends = ("-4", f"{LAC},{LNS}", "-u", f"{PORT},{PORT}")
    subprocess.run(["text2pcap", "-q", "-D", *ends, source, target], check=True)
    return target


def dissect(capture: Path) -> list[Dissected]:
    """Let tshark read a capture."""
    return [Dissected(*row) for row in read_fields(capture, _FIELDS)]


def read_fields(capture: Path, names: Sequence[str], which: str = "") -> list[list[str]]:
    """Let tshark read those fields, by its names, of every packet that its filter ``which`` takes.

    Where a packet has a field more than once, all its values are there, with commas between.
    """
    fields = [word for name in names for word in ("-e", name)]
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields", "-E", "separator=|", *fields]
    if which:
        command += ["-Y", which]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.split("|", len(names) - 1) for line in done.stdout.splitlines()]
