"""Datagrams as tshark sees them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
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
    fields = [word for name in _FIELDS for word in ("-e", name)]
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields", "-E", "separator=|", *fields]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [Dissected(*line.split("|", len(_FIELDS) - 1)) for line in done.stdout.splitlines()]
