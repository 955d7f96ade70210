"""Figures as a table on a terminal of 80 columns, and what is to be known about them below it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from probes.figures.events import LOSS_MEANINGS, Loss
from probes.figures.snapshot import FigureRow, Snapshot
from probes.figures.verdicts import BY_LABEL, Outcome
from probes.hooks.state import HookState

_COLUMNS = (
    "netns", "tunnel", "session", "ctrl", "data", "wait", "drop", "unkn",
    "sent", "p50_us", "p99_us",
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
        str(row["control_packets"]),
        str(row["data_packets"]),
        str(row["waiting"]),
        str(row["dropped"]),
        str(row["data_passed_up"]),
        str(row["tx_packets"]),
        _microseconds(row["latency_ns_p50"]),
        _microseconds(row["latency_ns_p99"]),
    )


def draw(snapshot: Snapshot, names: Mapping[int, str]) -> str:
    """Draw a snapshot as lines of text.

    The column `unkn` counts data that the driver had no use for. Below stand the verdicts that
    are no success, what is hidden or lost, and what the probes themselves cost.
    """
    rows = [_COLUMNS, *(_cells(row, names) for row in snapshot["figures"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    if not snapshot["figures"]:
        lines.append("(no datagram has reached the L2TP driver yet)")
    lines += _verdicts(snapshot["figures"], names)
    lines += below(snapshot, names)
    return "\n".join(lines)


def _verdicts(rows: list[FigureRow], names: Mapping[int, str]) -> Iterator[str]:
    """Say of each session what came to no good end, and whether a counter of L2TP knows."""
    for row in rows:
        for label, count in row["verdicts"].items():
            meaning = BY_LABEL[label].meaning
            if meaning.outcome is Outcome.ACCEPTED or label == "control":
                continue
            unrecorded = "" if meaning.is_recorded is not False else " (no L2TP counter knows)"
            yield (
                f"{names.get(row['netns'], str(row['netns']))} {row['tunnel_id']}/"
                f"{row['session_id']}: {count} {meaning.says}{unrecorded}"
            )


def _reconciled(snapshot: Snapshot, names: Mapping[int, str]) -> Iterator[str]:
    """Say which figures the driver's own counters do not bear out."""
    if snapshot["not_reconciled"]:
        yield f"not held against the driver's own counters: {snapshot['not_reconciled']}"
        return
    held = [row for row in snapshot["figures"] if row["driver"] is not None]
    wrong = 0
    for row in held:
        who = f"{names.get(row['netns'], str(row['netns']))} {row['tunnel_id']}"
        who += f"/{row['session_id']}" if row["session_id"] else ""
        found = row["driver"]
        if found is None:
            continue
        wrong += not found["agrees"]
        for name, values in found["differs"].items():
            yield (
                f"DOES NOT RECONCILE: {who}: {name}: the driver has {values['driver']}, the"
                f" probes {values['probes']}"
            )
        older = [f"{n} {name}" for name, n in found["older"].items() if "packets" in name]
        if older and row["session_id"]:
            yield f"{who}: older than the probes, and in no figure here: {', '.join(older)}"
    if held and not wrong:
        yield f"the driver's own counters agree: {len(held)} tunnels and sessions"


def below(snapshot: Snapshot, names: Mapping[int, str]) -> Iterator[str]:
    """Say what does not add up, what is hidden and lost, and what the hooks cost."""
    yield from _reconciled(snapshot, names)
    for hook in snapshot["hooks"]:
        if not hook["attached"]:
            yield f"not attached: {hook['name']}: hides {hook['hides']} ({hook['reason']})"
    for name, count in snapshot["losses"].items():
        if count:
            yield f"lost: {count} {LOSS_MEANINGS[Loss[name.upper()]]}"
    for hook in snapshot["hooks"]:
        if hook["missed"]:
            yield f"lost: {hook['missed']} runs of {hook['name']} that the kernel skipped"
    if snapshot["evicted_figures"]:
        yield f"evicted: {snapshot['evicted_figures']} sessions made room for others"
    if snapshot["costs_measured"]:
        yield cost(snapshot["hooks"])


def cost(hooks: list[HookState]) -> str:
    """Say what the probes cost a packet, by the kernel's own measurement."""
    receives = max((h["run_count"] for h in hooks if h["name"] == "l2tp_udp_encap_recv"), default=0)
    sends = max((h["run_count"] for h in hooks if h["name"] == "l2tp_xmit_skb"), default=0)
    how = "+".join(sorted({h["how"] for h in hooks if h["how"]}))
    if not receives + sends:
        return f"probes: {how}; no packet yet to measure their cost by"
    total_ns = sum(h["run_ns"] for h in hooks)
    return f"probes: {how}; {total_ns // (receives + sends)} ns a packet (kernel BPF statistics)"


def draw_numbers(snapshot: Snapshot, names: Mapping[int, str]) -> str:
    """Draw the sequence view: what the numbers of each session that uses them say."""
    lines: list[str] = []
    for row in snapshot["figures"]:
        numbers = row["numbers"]
        if numbers is None:
            continue
        who = names.get(row["netns"], str(row["netns"]))
        lines.append(f"{who} {row['tunnel_id']}/{row['session_id']}")
        lines.append(
            f"  sent {numbers['tx_numbered']} with numbers, the last Ns {numbers['tx_last_ns']}"
        )
        lines.append(
            f"  received {numbers['rx_numbered']}, the last Ns {numbers['rx_last_ns']}; the driver"
            f" expects {numbers['nr']}"
        )
        lines.append(
            f"  {numbers['rx_gaps']} gaps that jumped {numbers['rx_skipped']} numbers;"
            f" {numbers['rx_late']} came late, at most {numbers['rx_depth']} behind"
        )
        lines.append(
            f"  {numbers['queue']} wait in the reorder queue, at most {numbers['queue_max']} did;"
            f" {numbers['rx_resyncs']} resynchronisations"
        )
        lines += [f"  → {text}" for text in _explained(row)]
    return "\n".join([*(lines or ["(no session's data has numbers)"]), *below(snapshot, names)])


def _explained(row: FigureRow) -> Iterator[str]:
    """Say in words what a session's numbers and verdicts tell together."""
    verdicts, numbers = row["verdicts"], row["numbers"]
    if numbers is None:
        return
    missing = numbers["rx_skipped"] - numbers["rx_late"]
    if verdicts.get("out_of_sequence"):
        yield (
            "reordering is off: behind a gap the driver drops until five packets in a row have"
            " come, then takes the peer's number; a reorder timeout would keep them"
        )
    if verdicts.get("expired"):
        yield "the reorder timeout passed before the missing packet came"
    if verdicts.get("outside_window"):
        yield "some repeated a number that had passed, or were more than 32767 ahead"
    if missing > 0:
        yield f"{missing} numbers never came: lost on the way, or still under way"
