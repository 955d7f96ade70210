"""Do the probes' figures agree with the driver's own counters?

The driver counts a packet while it works on it, the probes when it has done so. Its counters are
therefore read before and after the figures: in a quiet moment the two readings are the same, and
the figures must be, too; otherwise they may lie between the two, and behind by the packets that
are in work right then, one for each CPU.

What a session had counted before the probes came is not held against them: each reading says
between what and what that must have been, and all that they say must have something in common. Of
such a session a miss of no more packets than there are CPUs cannot be told.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from probes.errors import ProbeError
from probes.figures.driver import Counters, Owner
from probes.figures.snapshot import Difference, FigureRow, Reconciliation
from probes.figures.verdicts import BY_LABEL

# Compared of a session; of these the driver keeps the latter for a whole tunnel as well, ended
# sessions included (discards are counted by session alone).
OF_SESSION = ("rx_seq_discards", "rx_errors", "rx_packets", "tx_packets", "tx_bytes", "tx_errors")
OF_TUNNEL = ("rx_packets", "tx_packets", "tx_bytes", "tx_errors")
_UNBOUNDED = 1 << 64
# How often figures and the driver's counters are read until they agree: a packet that is in work
# on a CPU that the host has taken away shows in one of them only.
_READINGS = 4


class Seen(NamedTuple):
    """What one of the driver's counters should say by what the probes saw: from low to high."""

    low: int
    high: int


def expected(row: FigureRow) -> dict[str, Seen]:
    """Say what the driver's counters should be by a session's verdicts and octets."""
    low = dict.fromkeys(OF_SESSION, 0)
    high = dict.fromkeys(OF_SESSION, 0)
    for label, count in row["verdicts"].items():
        meaning = BY_LABEL[label].meaning
        for name in meaning.counters:
            if name in low:
                low[name] += count
                high[name] += count
        for name in meaning.sometimes:
            if name in high:
                high[name] += count
    low["tx_bytes"] = high["tx_bytes"] = row["tx_bytes"]
    seen = {name: Seen(low[name], high[name]) for name in OF_SESSION}
    if low["rx_packets"] == row["data_packets"]:  # else some of the octets were dropped
        seen["rx_bytes"] = Seen(row["data_bytes"], row["data_bytes"])
    return seen


def together(parts: Iterable[Mapping[str, Seen]]) -> dict[str, Seen]:
    """Add up what a tunnel's sessions should have made it count."""
    listed = list(parts)
    return {
        name: Seen(sum(one[name].low for one in listed), sum(one[name].high for one in listed))
        for name in OF_TUNNEL
    }


class Range(NamedTuple):
    """Between what and what something is, both included."""

    low: int
    high: int

    def common(self, other: "Range") -> "Range":
        """Give what both allow; its low end is above its high one where that is nothing."""
        return Range(max(self.low, other.low), min(self.high, other.high))


_NOTHING_SEEN = {name: Seen(0, 0) for name in (*OF_SESSION, "rx_bytes")}
_NOTHING_OLDER = Range(0, 0)
_ANYTHING = Range(-_UNBOUNDED, _UNBOUNDED)


def beyond(seen: Seen, before: int, after: int, behind: int) -> Range:
    """Say by how much one of the driver's counters is more than the probes saw.

    before, after: the driver's readings around that of the figures. behind: by how much the
    figures may be behind the driver.
    """
    return Range(before - behind - seen.high, after - seen.low)


def _unit(name: str) -> int:
    """Say by how much one packet may raise a counter."""
    return 65_535 if name.endswith("bytes") else 1


class Reconciler:
    """Compares one reading after the other, and remembers what is older than the probes.

    cpus: how many there are; each may have a packet in work. since_ns: when the probes were there,
    CLOCK_MONOTONIC: what was registered before may have counted before.
    """

    def __init__(self, cpus: int, since_ns: int = 0) -> None:
        self._in_work = cpus
        self._since_ns = since_ns
        self._older: dict[Owner, dict[str, Range]] = {}
        self._ended: dict[Owner, int] = {}

    def judge(
        self,
        rows: list[FigureRow],
        before: Mapping[Owner, Counters],
        after: Mapping[Owner, Counters],
        now_ns: int = 0,
    ) -> bool:
        """Let every row say whether it agrees; says whether all do.

        now_ns: CLOCK_MONOTONIC: when a row that is older than the probes is found to have ended.
        """
        sessions = _by_owner(rows)
        agree = True
        for owner, has in after.items():
            row = sessions.get(owner)
            if owner not in before or (row is not None and row["ended_ns"] is not None):
                continue
            found = self._judge(owner, row, _seen_of(owner, sessions), before[owner], has)
            if row is not None:
                row["driver"] = found
                agree = agree and found["agrees"]
        if now_ns:
            self._mark_ended(sessions, {*before, *after}, now_ns)
        return agree

    def _mark_ended(
        self, rows: Mapping[Owner, FigureRow], there: Collection[Owner], now_ns: int
    ) -> None:
        """Say of what the driver had before the probes came, and has no longer, that it ended.

        Of all the others the probes see the end themselves.
        """
        for owner, row in rows.items():
            if owner in self._older and owner not in there and not row["uses"]:
                row["ended_ns"] = self._ended.setdefault(owner, now_ns)

    def _judge(
        self,
        owner: Owner,
        row: FigureRow | None,
        seen: Mapping[str, Seen],
        before: Counters,
        after: Counters,
    ) -> Reconciliation:
        is_older = row is None or self._is_older(row)
        known = self._older.setdefault(owner, {}) if is_older else {}
        older: Counters = {}
        differs: dict[str, Difference] = {}
        for name in (name for name in seen if name in before and name in after):
            quiet = before[name] == after[name] and not is_older
            behind = 0 if quiet else self._in_work * _unit(name)
            has_more = beyond(seen[name], before[name], after[name], behind)
            had = known.get(name, _ANYTHING) if is_older else _NOTHING_OLDER
            common = had.common(has_more)
            if common.low > common.high:
                base = had.high if abs(had.high) < _UNBOUNDED else 0
                ours = seen[name].low if after[name] < seen[name].low + base else seen[name].high
                differs[name] = Difference(probes=ours + base, driver=after[name])
            elif is_older:
                known[name] = common
                if common.high > 0:
                    older[name] = common.high
        return Reconciliation(agrees=not differs, counters=after, older=older, differs=differs)

    def _is_older(self, row: FigureRow) -> bool:
        return row["registered_ns"] is None or row["registered_ns"] < self._since_ns


def _by_owner(rows: Iterable[FigureRow]) -> dict[Owner, FigureRow]:
    return {
        Owner(row["netns_cookie"], row["tunnel_id"], row["session_id"]): row
        for row in rows
        if row["version"] in (2, 3) and (row["tunnel_id"] or row["session_id"])
    }


def _seen_of(owner: Owner, sessions: Mapping[Owner, FigureRow]) -> dict[str, Seen]:
    row = sessions.get(owner)
    if owner.session_id:
        return dict(_NOTHING_SEEN) if row is None else expected(row)
    since = 0 if row is None else row["registered_ns"] or 0
    mine = [
        other
        for key, other in sessions.items()
        if key.session_id and key[:2] == owner[:2] and (other["ended_ns"] or since) >= since
    ]
    seen = together(expected(other) for other in mine)
    if any(other["uses"] > 1 for other in mine):  # what their earlier owners had is in no row
        seen = {name: Seen(low, _UNBOUNDED) for name, (low, _) in seen.items()}
    return seen


class Reading(NamedTuple):
    """What was counted at one moment: rows, and the entries of the maps that they were made of."""

    rows: list[FigureRow]
    notes: dict[bytes, bytes]
    figures: dict[bytes, bytes]


def read_until_agreed(
    reconciler: Reconciler,
    read_figures: Callable[[], Reading],
    read_driver: Callable[[set[int]], Mapping[Owner, Counters]],
) -> tuple[Reading, str]:
    """Read figures between two readings of the driver's counters; again while they disagree.

    read_driver: is asked for network namespaces by their inode numbers. Gives the last figures,
    judged, and why the driver could not be asked, where it could not.
    """
    found = read_figures()
    for _ in range(_READINGS if found.rows else 0):
        inodes = {row["netns"] for row in found.rows}
        try:
            before = read_driver(inodes)
            found = read_figures()
            after = read_driver(inodes)
        except ProbeError as error:
            return found, str(error)
        agree = reconciler.judge(found.rows, before, after, time.monotonic_ns())
        # A namespace's first packet may have come since the driver was asked.
        if agree and inodes.issuperset(row["netns"] for row in found.rows):
            break
    return found, ""
