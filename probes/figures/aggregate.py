"""Per-CPU map values to figures, and histograms to percentiles."""

import struct
import sys
from collections.abc import Iterable, Mapping, Sequence

from probes.figures.events import (
    FIGURE,
    FIGURE_KEY,
    FIGURE_LAST_SEEN,
    FIGURE_SCALARS,
    LATENCY_SLOTS,
    Loss,
)
from probes.figures.sessions import SessionNote, add_note, join_ends
from probes.figures.snapshot import FigureRow
from probes.figures.verdicts import RECEIVED, TRANSMITTED, WAITING, Outcome, Verdict

_U64 = struct.Struct("=Q")
_U64_MAX = (1 << 64) - 1
_RX_DROPS = tuple(v for v in RECEIVED if v.meaning.outcome is Outcome.DROPPED)


def per_cpu(value: bytes, words: int) -> list[tuple[int, ...]]:
    """Split what a lookup in a per-CPU map gives: words 64-bit words for each CPU.

    Raises ValueError when value is not a whole number of such values.
    """
    size = words * _U64.size
    if not value or len(value) % size:
        raise ValueError(f"{len(value)} bytes are not a whole number of {size}")
    return list(struct.Struct(f"={words}Q").iter_unpack(value))


def figure_row(key: bytes, value: bytes, note: bytes | None = None) -> FigureRow:
    """Make one row of a key of the map `places` and what `figures` has there (struct figure).

    note: what the map `sessions` has under the same key (struct session_note).
    """
    netns_cookie, netns, tunnel_id, session_id, version = FIGURE_KEY.unpack(key)
    columns = list(zip(*per_cpu(value, FIGURE.size // _U64.size), strict=True))
    words = [sum(column) & _U64_MAX for column in columns]
    control_consumed, control_passed_up, data_consumed, data_passed_up = words[0:4]
    control_bytes, data_bytes = words[4] + words[5], words[6] + words[7]
    ppp_control, latency_ns_total, tx_bytes, tx_ns_total = words[
        FIGURE_LAST_SEEN + 1 : FIGURE_SCALARS - 1
    ]
    verdicts = [
        _not_below_nothing(word) for word in words[FIGURE_SCALARS : FIGURE_SCALARS + len(Verdict)]
    ]
    histogram, tx_histogram = words[-2 * LATENCY_SLOTS : -LATENCY_SLOTS], words[-LATENCY_SLOTS:]
    row = FigureRow(
        netns=netns,
        netns_cookie=netns_cookie,
        tunnel_id=tunnel_id,
        session_id=session_id,
        version=version,
        last_seen_ns=max(columns[FIGURE_LAST_SEEN]),
        packets=sum(words[0:4]),
        bytes=control_bytes + data_bytes,
        control_packets=control_consumed + control_passed_up,
        control_bytes=control_bytes,
        data_packets=data_consumed + data_passed_up,
        data_bytes=data_bytes,
        consumed=control_consumed + data_consumed,
        passed_up=control_passed_up + data_passed_up,
        data_consumed=data_consumed,
        data_passed_up=data_passed_up,
        ppp_control_packets=ppp_control,
        latency_packets=sum(histogram),
        latency_ns_total=latency_ns_total,
        latency_ns_log2=histogram,
        latency_ns_p50=percentile(histogram, 50),
        latency_ns_p90=percentile(histogram, 90),
        latency_ns_p99=percentile(histogram, 99),
        verdicts={v.label: verdicts[v] for v in Verdict if verdicts[v]},
        waiting=sum(verdicts[v] for v in WAITING),
        dropped=sum(verdicts[v] for v in _RX_DROPS),
        dropped_unrecorded=sum(verdicts[v] for v in _RX_DROPS if v.meaning.is_recorded is False),
        tx_packets=verdicts[Verdict.SENT],
        tx_bytes=tx_bytes,
        tx_errors=sum(verdicts[v] for v in TRANSMITTED) - verdicts[Verdict.SENT],
        tx_ns_total=tx_ns_total,
        tx_ns_log2=tx_histogram,
        tx_ns_p50=percentile(tx_histogram, 50),
        tx_ns_p90=percentile(tx_histogram, 90),
        tx_ns_p99=percentile(tx_histogram, 99),
        interface="",
        uses=0,
        registered_ns=None,
        ended_ns=None,
        local_address="",
        peer_address="",
        peer_tunnel_id=0,
        peer_session_id=0,
        numbers=None,
        peer=None,
        driver=None,
    )
    if note is not None:
        add_note(row, SessionNote.unpack(note))
    return row


def _not_below_nothing(word: int) -> int:
    """Give a count; 0 where it went below.

    A packet that waited is settled under its session's ids. When these have another owner by then,
    whose figures began anew, there is one more end than packets began to wait.
    """
    return 0 if word > _U64_MAX >> 1 else word


def figure_rows(
    entries: Iterable[tuple[bytes, bytes]], notes: Mapping[bytes, bytes] | None = None
) -> list[FigureRow]:
    """Make the rows of all figures, in the order that Snapshot promises, ends joined.

    notes: the map `sessions`.
    """
    notes = notes or {}
    rows = [figure_row(key, value, notes.get(key)) for key, value in entries]
    join_ends(rows)
    heard: dict[int, int] = {}
    for row in rows:
        cookie = row["netns_cookie"]
        heard[cookie] = max(heard.get(cookie, 0), row["last_seen_ns"])
    return sorted(
        rows,
        key=lambda row: (
            row["netns"],
            heard[row["netns_cookie"]],
            row["netns_cookie"],
            row["tunnel_id"],
            row["session_id"],
            row["version"],
        ),
    )


def loss_counts(entries: Iterable[tuple[bytes, bytes]]) -> dict[str, int]:
    """Name the counts of the map `losses` (an array indexed by enum loss).

    What one CPU counted as lost another may have found, and taken off its own count.
    """
    by_index = {
        int.from_bytes(key, sys.byteorder): _not_below_nothing(
            sum(cpu[0] for cpu in per_cpu(value, 1)) & _U64_MAX
        )
        for key, value in entries
    }
    return {loss.name.lower(): by_index.get(loss, 0) for loss in Loss}


def percentile(histogram: Sequence[int], percent: float) -> int | None:
    """Estimate below how many ns percent of the frames stay, None when there are none.

    histogram: slot n counts values from 2^n to 2^(n+1). Within the slot that
    holds the answer values are taken as evenly spread, so that the estimate is
    never off by more than a factor of 2. The last slot has no upper end: of it
    the lower end is given.
    """
    total = sum(histogram)
    if not total:
        return None
    rank = total * percent / 100
    below = 0
    for slot, count in enumerate(histogram):
        if count and below + count >= rank:
            low = 1 << slot
            if slot == LATENCY_SLOTS - 1:
                return low
            return low + int(low * max(0.0, rank - below) / count)
        below += count
    return 1 << (len(histogram) - 1)
