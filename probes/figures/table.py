"""Figures as a table on a terminal of 80 columns, and what is to be known about them below it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from probes.figures.events import LOSS_MEANINGS, Loss
from probes.figures.snapshot import FigureRow, Snapshot
from probes.figures.verdicts import BY_LABEL, Outcome
from probes.hooks.state import HookState, missed_lines

COLUMNS = (
    "netns", "tunnel", "session", "ctrl", "data", "wait", "drop", "unkn",
    "sent", "p50_us", "p99_us", "state",
)  # fmt: skip

WIDTH = 80
_PREFIXES = " kMGTPE"


#: Packets by which a cost is told: each probe's first runs are slow, and others' packets are in it.
_ENOUGH = 100


def ends_text(tunnels: int, sessions: int) -> str:
    """Say how many ends of tunnels and of sessions: each namespace has an end of its own."""
    counted = ((tunnels, "tunnel"), (sessions, "session"))
    words = [f"{n} {what} end{'' if n == 1 else 's'}" for n, what in counted if n]
    return " and ".join(words) or "no tunnel or session end"


def netns_names(folder: Path = Path("/run/netns")) -> dict[int, str]:
    """Name the network namespaces that have a name (ip netns), by inode number."""
    names: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            with contextlib.suppress(OSError):  # gone meanwhile
                names[entry.stat().st_ino] = entry.name
    return names


def rounded(number: int) -> str:
    """Write a number in at most five characters: 123456789 is 123M. Up to 9999 it is exact."""
    if number < 10_000:
        return str(number)
    power = (len(str(number)) - 1) // 3
    whole = number / 1000**power
    digits = 2 if whole < 9.995 else 1 if whole < 99.95 else 0
    if round(whole, digits) >= 1000:
        return f"1.00{_PREFIXES[power + 1]}"
    return f"{whole:.{digits}f}{_PREFIXES[power]}"


def _microseconds(latency_ns: int | None) -> str:
    if latency_ns is None:
        return "-"
    value = latency_ns / 1000
    return f"{value:.1f}" if value < 10_000 else rounded(round(value))


def _cells(
    row: FigureRow, names: Mapping[int, str], number: Callable[[int], str]
) -> tuple[str, ...]:
    return (
        names.get(row["netns"], str(row["netns"])),
        str(row["tunnel_id"]),
        str(row["session_id"]),
        number(row["control_packets"]),
        number(row["data_packets"]),
        number(row["waiting"]),
        number(row["dropped"]),
        number(row["data_passed_up"]),
        number(row["tx_packets"]),
        _microseconds(row["latency_ns_p50"]),
        _microseconds(row["latency_ns_p99"]),
        "-" if row["ended_ns"] is None else "ended",
    )


def _widths(rows: list[tuple[str, ...]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _table(figures: list[FigureRow], names: Mapping[int, str]) -> Iterator[str]:
    """Draw head and rows: exact where they fit the width, else with less room, else rounded."""
    # The column of what has ended is there when something has.
    shown = len(COLUMNS) if any(row["ended_ns"] is not None for row in figures) else -1
    rows: list[tuple[str, ...]] = []
    for number, gap in ((str, "  "), (str, " "), (rounded, "  "), (rounded, " ")):
        rows = [COLUMNS[:shown], *(_cells(row, names, number)[:shown] for row in figures)]
        widths = _widths(rows)
        beyond = sum(widths) + len(gap) * (len(widths) - 1) - WIDTH
        if beyond <= 0:
            break
    if beyond > 0:  # a name that is too long: its end tells more than its beginning
        widths[0] = max(len(COLUMNS[0]), widths[0] - beyond)
        rows = [(_cut(first, widths[0]), *rest) for first, *rest in rows]
    for row in rows:
        yield gap.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    if number is rounded:
        yield "(rounded to fit; --json has all digits)"


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else "…" + name[len(name) - width + 1 :]


def _nothing(left_out: int, otherwise: str) -> str:
    if left_out:
        return f"(nothing here is what was asked for; there are {left_out} other rows)"
    return otherwise


def draw(snapshot: Snapshot, names: Mapping[int, str], left_out: int = 0) -> str:
    """Draw a snapshot as lines of text.

    The column `unkn` counts data that the driver had no use for; `state` is there when a tunnel or
    session has ended. Below stand the verdicts that are no success, what is hidden or lost, and
    what the probes themselves cost.
    left_out: how many rows are not in it because they were not asked for.
    """
    lines = list(_table(snapshot["figures"], names))
    if not snapshot["figures"]:
        lines.append(_nothing(left_out, "(no datagram has reached the L2TP driver yet)"))
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
        sessions = sum(row["session_id"] != 0 for row in held)
        yield f"the driver's own counters agree for {ends_text(len(held) - sessions, sessions)}"
    unheld = sum(
        row["driver"] is None and row["uses"] > 0 and row["ended_ns"] is None
        for row in snapshot["figures"]
    )
    if unheld:
        yield (
            f"not held against the driver's own counters: {unheld} of these, in namespaces that"
            " have neither a name nor a process, or just gone"
        )


def below(snapshot: Snapshot, names: Mapping[int, str]) -> Iterator[str]:
    """Say what does not add up, what is hidden and lost, and what the hooks cost."""
    yield from _reconciled(snapshot, names)
    for hook in snapshot["hooks"]:
        if not hook["attached"]:
            yield f"not attached: {hook['name']}: hides {hook['hides']} ({hook['reason']})"
    for name, count in snapshot["losses"].items():
        if count:
            yield f"lost: {count} {LOSS_MEANINGS[Loss[name.upper()]]}"
    yield from missed_lines(snapshot["hooks"])
    if snapshot["evicted_figures"]:
        yield f"evicted: {snapshot['evicted_figures']} sessions made room for others"
    if snapshot["costs_measured"]:
        yield cost(snapshot["hooks"])


def cost(hooks: list[HookState]) -> str:
    """Say what the probes cost a packet, by the kernel's own measurement."""
    receives = max((h["run_count"] for h in hooks if h["name"] == "l2tp_udp_encap_recv"), default=0)
    sends = max((h["run_count"] for h in hooks if h["name"] == "l2tp_xmit_skb"), default=0)
    how = "+".join(sorted({h["how"] for h in hooks if h["how"]}))
    if receives + sends < _ENOUGH:
        return f"probes: {how}; {receives + sends} packets are too few to measure their cost by"
    total_ns = sum(h["run_ns"] for h in hooks)
    return f"probes: {how}; {total_ns // (receives + sends)} ns a packet (kernel BPF statistics)"


def draw_numbers(snapshot: Snapshot, names: Mapping[int, str], left_out: int = 0) -> str:
    """Draw the sequence view: what the numbers of each session that uses them say.

    left_out: how many rows are not in it because they were not asked for.
    """
    lines: list[str] = []
    for row in snapshot["figures"]:
        numbers = row["numbers"]
        if numbers is None:
            continue
        who = names.get(row["netns"], str(row["netns"]))
        ended = "" if row["ended_ns"] is None else " (ended)"
        lines.append(f"{who} {row['tunnel_id']}/{row['session_id']}{ended}")
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
    if not lines:
        nothing = "(no session's data has numbers)"
        lines = [nothing if snapshot["figures"] else _nothing(left_out, nothing)]
    return "\n".join([*lines, *below(snapshot, names)])


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
