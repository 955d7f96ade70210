"""Measures the protocol core by itself: no guest, no kernel, no network; one process of this box.

What is measured is what two endpoints do to one another in memory, in virtual time. Times are the
process's own CPU time, so that what else the box does adds little.
"""

from __future__ import annotations

import cProfile
import gc
import os
import pstats
import time
import tracemalloc
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from l2tp.protocol.codec import decode_message, encode_message
from l2tp.protocol.endpoint import Address, CallParameters, Endpoint, EndpointConfig
from l2tp.protocol.events import CallRequested, SessionEstablished
from l2tp.protocol.messages import OUR_VERSION, SCCRQ
from lab.bench.bringup import Figure, host_conditions

_LAC: Final = Address("192.0.2.1", 1701)
_LNS: Final = Address("192.0.2.2", 1701)
_TUNNELS: Final = 10
_SIZES: Final = (1_000, 10_000)
_CODEC_RUNS: Final = 5
_CODEC_TIMES: Final = 2_000
_PROFILED: Final = 8

_FULL_SCCRQ: Final = SCCRQ(
    protocol_version=OUR_VERSION,
    framing_capabilities=3,
    bearer_capabilities=3,
    tie_breaker=bytes(range(8)),
    firmware_revision=1,
    host_name="lac.example",
    vendor_name="l2tp-lab",
    assigned_tunnel_id=7,
    receive_window_size=16,
    challenge=bytes(range(16)),
)


def measure_protocol() -> dict[str, Any]:
    """Measure everything here: conditions, figures, and the codec's profile."""
    load = os.getloadavg()[0]
    return {
        "conditions": host_conditions(load),
        "figures": [measure_codec(), *measure_sessions()],
        "profile": profile_codec(),
    }


def measure_codec() -> Figure:
    """Decode, validate and encode a SCCRQ with every AVP that it may have."""
    body = encode_message(_FULL_SCCRQ)
    runs = []
    for _ in range(_CODEC_RUNS):
        started = time.process_time()
        _codec(body)
        runs.append((time.process_time() - started) / _CODEC_TIMES * 1e6)
    return Figure("decode, validate and encode a full SCCRQ", tuple(runs), "µs", 40.0)


def profile_codec() -> list[str]:
    """Say where the time of that goes: share of it and function, the greatest first."""
    body = encode_message(_FULL_SCCRQ)
    profiler = cProfile.Profile()
    profiler.runcall(_codec, body)
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]]
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    whole = sum(own for _, _, own, _, _ in stats.values())
    rows = sorted(((row[2], place) for place, row in stats.items()), reverse=True)
    return [
        f"{own / whole:4.0%}  {file.rpartition('/')[2]}:{line} {name}"
        for own, (file, line, name) in rows[:_PROFILED]
    ]


def _codec(body: bytes) -> None:
    for _ in range(_CODEC_TIMES):
        encode_message(decode_message(body))


def measure_sessions() -> Iterator[Figure]:
    """Set up many sessions between two endpoints: time and memory of each, and their growth."""
    times_us = [_seconds(count) / count * 1e6 for count in _SIZES]
    octets = [_memory(count) / count for count in _SIZES]
    few, many = (f"{count:,}" for count in _SIZES)
    what = f"a session of {many} in {_TUNNELS} tunnels, both ends"
    yield Figure(what, (times_us[1],), "µs")
    yield Figure(what, (octets[1],), "octets")
    growth = f"of a session from {few} to {many}"
    yield Figure(f"growth of the time {growth}", (_growth(times_us),), "%", 20.0)
    yield Figure(f"growth of the memory {growth}", (_growth(octets),), "%", 20.0)


def _growth(values: list[float]) -> float:
    return (values[1] / values[0] - 1) * 100


def _seconds(count: int) -> float:
    # The best of three: what else the box does only adds to it.
    return min(_timed(count) for _ in range(3))


def _timed(count: int) -> float:
    gc.collect()
    started = time.process_time()
    set_up(count)
    return time.process_time() - started


def _memory(count: int) -> int:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = set_up(count)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del kept
    return after - before


def set_up(count: int, *, tunnels: int = _TUNNELS) -> dict[Address, Endpoint]:
    """Set up so many sessions between a LAC and an LNS; returns both by address."""
    lac = Endpoint(EndpointConfig(host_name="lac"), random=Random(1))
    answering = EndpointConfig(host_name="lns", accepts_tunnels=True, accepts_calls=True)
    lns = Endpoint(answering, random=Random(2))
    ends = {_LAC: lac, _LNS: lns}
    now = 0.0
    ids = [lac.open_tunnel(_LNS, now) for _ in range(tunnels)]
    for number in range(count):
        lac.place_call(ids[number % tunnels], now, CallParameters(called_number="5551234"))
    established = dict.fromkeys(ends, 0)
    while min(established.values()) < count:
        if not _exchange(ends, established, now):
            due = [timer for end in ends.values() if (timer := end.get_timer()) is not None]
            now = max(now, min(due))
            for end in ends.values():
                end.handle_timer(now)
    return ends


def _exchange(ends: dict[Address, Endpoint], established: dict[Address, int], now: float) -> bool:
    """Carry what both have to say; false when they have nothing."""
    carried = False
    for address, end in ends.items():
        while (event := end.next_event()) is not None:
            if isinstance(event, CallRequested):
                end.accept_call(event.local_tunnel_id, event.local_session_id, now)
            elif isinstance(event, SessionEstablished):
                established[address] += 1
        for datagram in end.datagrams_to_send():
            carried = True
            ends[datagram.destination].receive_datagram(datagram.data, address, now)
    return carried
