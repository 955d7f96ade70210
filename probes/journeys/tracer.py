"""Follows packets through the kernel: the program of journeys at work, drained on a timer."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from probes.figures.aggregate import per_cpu
from probes.hooks import cache
from probes.hooks.attaching import Attached
from probes.hooks.costs import CostMeter
from probes.hooks.kernel_names import KernelNames
from probes.hooks.ringbuf import RingBuffer
from probes.hooks.spec import Program, Style
from probes.journeys.events import (
    CHOICE,
    EVENT,
    Choice,
    JourneyLoss,
    event_of,
    journey_compiler_flags,
)
from probes.journeys.journey import Journey, Journeys, as_json
from probes.journeys.spec import JOURNEYS

# Room for 14,000 events on their way to us, about 1,000 journeys between two looks.
RING_OCTETS = 4 << 20
# How many packets can be followed at a time; the least recently seen are let go.
MAX_FOLLOWED = 8192


class JourneyTracer:
    """Chosen packets, followed from hop to hop.

    choice: which packets. nodes: names of namespaces by inode number.
    ring_octets: the room for events between two calls of poll(), a power of two.
    costs: let the kernel measure what the programs cost: two more readings of the clock a run.
    Raises ProbeError when nothing can be followed here.
    """

    def __init__(
        self,
        choice: Choice,
        nodes: Mapping[int, str],
        *,
        program: Program = JOURNEYS,
        ring_octets: int = RING_OCTETS,
        costs: bool = False,
        styles: Iterable[Style] = tuple(Style),
        cache_folder: Path = cache.FOLDER,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.names = KernelNames(nodes)
        self._costs = CostMeter()
        self._attached = Attached(
            program,
            journey_compiler_flags(),
            {"events": ring_octets, "journeys": MAX_FOLLOWED},
            styles=styles,
            cache_folder=cache_folder,
            report=report,
        )
        attached = {hook["name"]: hook["attached"] for hook in self._attached.hooks()}
        self._journeys = Journeys(self.names, sees_drops=attached["kfree_skb"])
        self._ring = RingBuffer(self._attached.maps.map_fd("events"), ring_octets, EVENT)
        self._wall_offset_ns = time.time_ns() - time.monotonic_ns()
        if costs:
            self._costs.turn_on()
        # Last: with every hook in its place, packets may be chosen.
        self._attached.maps.write("choices", bytes(4), choice.packed())

    def poll(self, patience_ns: int | None = None) -> Iterator[Journey]:
        """Give the journeys that have ended since the last call.

        patience_ns: how long nothing may be heard of one before it is given up.
        """
        now_ns = time.monotonic_ns()
        yield from self._journeys.add(map(event_of, self._ring.drain()))
        limits = () if patience_ns is None else (patience_ns,)
        yield from self._journeys.expire(now_ns, *limits)

    def is_spent(self) -> bool:
        """Say whether no journey is under way, and no more may begin."""
        return not len(self._journeys) and self._choice()[0] <= 0

    def _choice(self) -> tuple[Any, ...]:
        (_, raw) = next(iter(self._attached.maps.entries("choices")))
        return CHOICE.unpack(raw)

    def as_json(self, journey: Journey) -> dict[str, Any]:
        """Give a journey as docs/trace.md describes it."""
        return as_json(journey, self.names, self._wall_offset_ns)

    def status(self) -> dict[str, Any]:
        """Say what was chosen, what is not seen, and what was lost, as docs/trace.md describes."""
        maps = self._attached.maps
        by_index = {
            int.from_bytes(key, "little"): sum(cpu[0] for cpu in per_cpu(value, 1))
            for key, value in maps.entries("journey_losses")
        }
        losses = {loss.name.lower(): by_index.get(loss, 0) for loss in JourneyLoss}
        hooks = self._attached.hooks()
        return {
            "kind": "status",
            "time_ns": time.monotonic_ns(),
            "eligible_packets": self._choice()[1],
            "open_journeys": len(self._journeys),
            "forgotten_journeys": self._journeys.forgotten,
            "lost_events": sum(losses.values()) + sum(hook["missed"] or 0 for hook in hooks),
            "losses": losses,
            "hooks": hooks,
        }

    def close(self) -> None:
        """Detach everything. May be called again."""
        self._costs.turn_off()
        self._ring.close()
        self._attached.close()
