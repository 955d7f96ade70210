"""python3 -m lab.bench.traced.counted LAB: what tracing costs a packet, in instructions.

For a machine whose processor takes a nanosecond an instruction (``appliance start --counted``):
what its clock tells is then no matter of how busy the box is. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from lab.bench.traced import tracers
from lab.bench.traced.bed import LENGTHS, Bed, Source
from lab.errors import CannotRun
from lab.instruments.iperf import iperf_udp_ns
from lab.running.live import Live

_IP_UDP_OCTETS = 28
_ENDING_S = 60.0
_WARM_UP, _ALONE, _THROUGH_S = 400, 6000, 1

#: What is measured against nothing, one after the other.
_KINDS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "off": nullcontext,
    "empty": tracers.empty,
    "on": tracers.ours,
}

Measured = dict[str, dict[str, list[float]]]


def main() -> int:
    """Measure the driver's path alone, and packets through the lab that is up."""
    parser = argparse.ArgumentParser(prog="python3 -m lab.bench.traced.counted")
    parser.add_argument("lab", help="the lab that is up; its tracer is ended")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tracers.ours():  # the first start may compile
        pass
    live = Live.open(options.lab)
    _end_tracer(live)
    found = {"through": _measured(partial(_through, live), options.rounds)}
    with Bed() as bed:
        sources = {name: bed.source(length) for name, length in LENGTHS.items()}
        found["alone"] = _measured(lambda name: _alone(bed, sources[name]), options.rounds)
    print(json.dumps(found))
    return 0


def _measured(cost: Callable[[str], float], rounds: int) -> Measured:
    """Give the instructions a packet took: by kind of tracing, by length, each round's."""
    found: Measured = {kind: {name: [] for name in LENGTHS} for kind in _KINDS}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for kind, attached in _KINDS.items():
            with attached():
                for name in LENGTHS:
                    found[kind][name].append(cost(name))
    return found


def _through(live: Live, name: str) -> float:
    """From iperf3 in the subscriber's namespace to iperf3 in the host's: there is one processor."""
    ends = live.sessions()[0]
    target = min(live.hosts(ends.call), key=len)
    return iperf_udp_ns(
        live.netns(ends.tunnel.lac),
        live.netns(live.node_of(target)),
        target,
        payload=LENGTHS[name] - _IP_UDP_OCTETS,
        seconds=_THROUGH_S,
    )


def _alone(bed: Bed, source: Source) -> float:
    """From a sender of forty datagrams a system call to behind the receiver's ppp."""
    source.send(_WARM_UP)
    before, began = bed.received, time.perf_counter_ns()
    source.send(_ALONE)
    took = time.perf_counter_ns() - began
    if bed.received == before:
        raise CannotRun(f"of {_ALONE} packets none arrived")
    return took / (bed.received - before)


def _end_tracer(live: Live) -> None:
    """End the lab's own tracer, and wait until it has let go of its socket.

    Raises CannotRun when it does not.
    """
    socket = live.folder / "trace.sock"
    if pid := tracers.who_listens(socket):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _ENDING_S
    while tracers.who_listens(socket):
        if time.monotonic() > until:
            raise CannotRun(f"the tracer of lab {live.lab} does not end")
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())
