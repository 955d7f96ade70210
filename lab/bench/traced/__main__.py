"""python3 -m lab.bench.traced: measure, and print one JSON object."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from lab.bench.traced import tracers
from lab.bench.traced.bed import LENGTHS, Bed, Source
from lab.errors import CannotRun

_WARM_UP = 400


def main() -> int:
    """Measure with the options given."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.bench.traced")
    parser.add_argument("--pairs", type=int, default=7, help="off and on, one after the other")
    parser.add_argument("--packets", type=int, default=8000, help="in one run")
    parser.add_argument("--flood-s", type=float, default=4.0, help="how long at the highest rate")
    parser.add_argument("--one-in", type=int, default=50, help="packets followed at that rate")
    options = parser.parse_args()
    with Bed() as bed:
        found: dict[str, Any] = {"kernel": platform.release(), "cpus": os.cpu_count()}
        found["pairs"] = _pairs(bed, options)
        found["programs_ns"] = _programs(bed, options)
        found["flood"] = _flood(bed, options)
        found["journeys"] = _sampled(bed, options)
    print(json.dumps(found))
    return 0


def _pairs(bed: Bed, options: argparse.Namespace) -> dict[str, Any]:
    """Time packets with tracing off and on, interleaved; the first start may compile."""
    with tracers.ours():
        pass
    sources = {name: bed.source(length) for name, length in LENGTHS.items()}
    off: dict[str, list[float]] = {name: [] for name in sources}
    on: dict[str, list[float]] = {name: [] for name in sources}
    journeys: dict[str, list[float]] = {name: [] for name in sources}
    started, memory = [], []
    for number in range(options.pairs):
        _say(f"pair {number + 1} of {options.pairs}")
        for name, source in sources.items():
            off[name].append(_timed(bed, source, options.packets))
        with tracers.ours() as tracer:
            started.append(tracer.started_s)
            for name, source in sources.items():
                on[name].append(_timed(bed, source, options.packets))
            memory.append(tracer.memory_mb())
            with tracers.journeys(options.one_in):
                for name, source in sources.items():
                    journeys[name].append(_timed(bed, source, options.packets))
    for source in sources.values():
        source.close()
    return {
        "off_ns": off,
        "on_ns": on,
        "journeys_ns": journeys,
        "started_s": started,
        "memory_mb": memory,
    }


def _timed(bed: Bed, source: Source, packets: int) -> float:
    """Give the time that one packet takes in ns, from the sender to behind the receiver's ppp.

    One CPU does all of it, in the sender's own time: it never waits.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        source.send(_WARM_UP)
        before, began = bed.received, time.perf_counter_ns()
        source.send(packets)
        took = time.perf_counter_ns() - began
        received = bed.received - before
    finally:
        os.sched_setaffinity(0, allowed)
    if received < packets * 0.99:
        raise CannotRun(f"of {packets} packets only {received} arrived")
    return took / received


def _programs(bed: Bed, options: argparse.Namespace) -> dict[str, Any]:
    """Measure the BPF programs' own time per packet, by the kernel's statistics."""
    found: dict[str, Any] = {}
    for name, make in (
        ("fentry", lambda: tracers.ours("fentry")),
        ("kprobe", lambda: tracers.ours("kprobe")),
        ("bpftrace", tracers.bpftrace),
    ):
        _say(f"programs: {name}")
        try:
            found[name] = _program_cost(bed, make, options.packets)
        except CannotRun as error:
            found[name] = {"why_not": str(error)}
    return found


def _program_cost(
    bed: Bed, make: Callable[[], AbstractContextManager[Any]], packets: int
) -> dict[str, float]:
    costs = {}
    with make() as tracer:
        if isinstance(tracer, tracers.Ours) and not tracer.client.measure_costs(True):
            raise CannotRun("this kernel does not measure its BPF programs")
        for name, length in LENGTHS.items():
            source = bed.source(length)
            source.send(_WARM_UP)
            before, packets_before = tracer.cost_ns(), bed.received
            source.send(packets)
            costs[name] = (tracer.cost_ns() - before) / (bed.received - packets_before)
            source.close()
    return costs


def _flood(bed: Bed, options: argparse.Namespace) -> dict[str, Any]:
    """Send from every CPU at once, and see whether each packet is in the figures."""
    _say("the highest rate")
    with tracers.ours() as tracer:
        before = bed.sent, bed.received
        took = _send_from_every_cpu(bed, options.flood_s)
        snapshot = tracer.client.snapshot()
        sent, received = bed.sent - before[0], bed.received - before[1]
    rows = [row for row in snapshot["figures"] if row["netns"] in bed.inodes]
    mine = [row for row in rows if row["session_id"]]
    return {
        "seconds": took,
        "driver_sent": sent,
        "driver_received": received,
        "probes_sent": sum(row["tx_packets"] for row in mine),
        "probes_received": sum(row["data_packets"] for row in mine),
        "reconciled": all(row["driver"] and row["driver"]["agrees"] for row in mine),
        "lost_events": snapshot["lost_events"],
    }


def _sampled(bed: Bed, options: argparse.Namespace) -> dict[str, Any]:
    """Follow one packet in so many at the highest rate; journeys told and events lost."""
    _say("journeys at the highest rate")
    with tracers.journeys(options.one_in) as followed:
        before = bed.sent
        took = _send_from_every_cpu(bed, options.flood_s)
        sent = bed.sent - before
        lines = followed()
    status = lines[-1]
    return {
        "seconds": took,
        "one_in": options.one_in,
        "driver_sent": sent,
        "eligible": status["eligible_packets"],
        "told": sum(line["kind"] == "journey" and not line["again"] for line in lines),
        "lost_events": status["lost_events"],
    }


def _send_from_every_cpu(bed: Bed, seconds: float) -> float:
    """Give how long it took until the last sender had ended."""
    senders = [
        multiprocessing.get_context("fork").Process(target=_send, args=(bed, seconds))
        for _ in range(os.cpu_count() or 1)
    ]
    began = time.monotonic()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return time.monotonic() - began


def _send(bed: Bed, seconds: float) -> None:
    bed.source(LENGTHS["64 bytes"]).send_for(seconds)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
