"""Figures as a table on a terminal."""

from collections.abc import Mapping
from pathlib import Path

from probes.events import LOSS_MEANINGS, Loss
from probes.snapshot import FigureRow, Snapshot

_COLUMNS = (
    "netns", "tunnel", "session", "data", "data_bytes", "control", "consumed", "passed_up",
    "unknown", "p50_us", "p99_us",
)  # fmt: skip


def netns_names(folder: Path = Path("/run/netns")) -> dict[int, str]:
    """Name the network namespaces that have a name (ip netns), by inode number."""
    try:
        return {entry.stat().st_ino: entry.name for entry in folder.iterdir()}
    except OSError:
        return {}


def _microseconds(latency_ns: int | None) -> str:
    return "-" if latency_ns is None else f"{latency_ns / 1000:.1f}"


def _cells(row: FigureRow, names: Mapping[int, str]) -> tuple[str, ...]:
    return (
        names.get(row["netns"], str(row["netns"])),
        str(row["tunnel_id"]),
        str(row["session_id"]),
        str(row["data_packets"]),
        str(row["data_bytes"]),
        str(row["control_packets"]),
        str(row["consumed"]),
        str(row["passed_up"]),
        str(row["data_passed_up"]),
        _microseconds(row["latency_ns_p50"]),
        _microseconds(row["latency_ns_p99"]),
    )


def draw(snapshot: Snapshot, names: Mapping[int, str]) -> str:
    """Draw a snapshot as lines of text.

    The column `unknown` counts data for a session that the driver does not
    know. What is hidden or lost stands below the table.
    """
    rows = [_COLUMNS, *(_cells(row, names) for row in snapshot["figures"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    if not snapshot["figures"]:
        lines.append("(no datagram has reached the L2TP driver yet)")
    lines += [
        f"not attached: {hook['name']}: hides {hook['hides']} ({hook['reason']})"
        for hook in snapshot["hooks"]
        if not hook["attached"]
    ]
    lines += [
        f"lost: {count} {LOSS_MEANINGS[Loss[name.upper()]]}"
        for name, count in snapshot["losses"].items()
        if count
    ]
    lines += [
        f"lost: {hook['missed']} runs of {hook['name']} that the kernel skipped"
        for hook in snapshot["hooks"]
        if hook["missed"]
    ]
    return "\n".join(lines)
