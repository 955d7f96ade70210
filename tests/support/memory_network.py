"""Two or more endpoints over an in-memory network with its own clock, delays and mischief.

Time passes only inside `run`, so a test of a 31 s give-up takes microseconds. What the network does
to a datagram (lose, duplicate, delay, which also reorders) is a function of the test's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TypeVar

from l2tp.protocol.endpoint import Address, Datagram, Endpoint, EndpointConfig
from l2tp.protocol.events import Event

T = TypeVar("T")

LAC = Address("192.0.2.1", 1701)
LNS = Address("198.51.100.2", 1701)
DELAY_S = 0.001
MAXIMUM_STEPS = 10_000

Mischief = Callable[[Datagram, Address, float], Iterable[float]]
"""For one datagram, its source and the time: the delay of each copy that arrives (none: lost)."""


def faithful(_: Datagram, __: Address, ___: float) -> Iterable[float]:
    """One copy, soon."""
    return (DELAY_S,)


def lossy(random: Random, *, loss: float, duplication: float, spread_s: float) -> Mischief:
    """Lose and duplicate with these probabilities, delay by up to `spread_s`."""

    def decide(_: Datagram, __: Address, ___: float) -> Iterable[float]:
        copies = 1 + (random.random() < duplication)
        return [
            DELAY_S + random.random() * spread_s for _ in range(copies) if random.random() >= loss
        ]

    return decide


class Node:
    """An endpoint with its address, and what it said."""

    def __init__(self, address: Address, endpoint: Endpoint) -> None:
        self.address = address
        self.endpoint = endpoint
        self.events: list[Event] = []
        self.on_event: Callable[[Event, float], None] = lambda event, now: None

    def of(self, kind: type[T]) -> list[T]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


class MemoryNetwork:
    """Carries datagrams between nodes and calls their timers, in the order of time."""

    def __init__(self, mischief: Mischief = faithful) -> None:
        self.now = 1000.0
        self.mischief = mischief
        self.nodes: dict[Address, Node] = {}
        self.carried: list[tuple[float, Address, Address, bytes]] = []
        self._queue: list[tuple[float, int, Address, Address, bytes]] = []
        self._order = count()

    def add(self, address: Address, config: EndpointConfig, seed: int = 1) -> Node:
        """Put an endpoint on the network."""
        node = Node(address, Endpoint(config, random=Random(seed)))
        self.nodes[address] = node
        return node

    def inject(self, source: Address, destination: Address, data: bytes) -> None:
        """Send octets of the test's own making."""
        self._enqueue(self.now, source, destination, data)

    def collect(self) -> None:
        """Take events and datagrams from every node, until none says anything new."""
        busy = True
        while busy:
            busy = False
            for node in list(self.nodes.values()):
                while (event := node.endpoint.next_event()) is not None:
                    busy = True
                    node.events.append(event)
                    node.on_event(event, self.now)
                for datagram in node.endpoint.datagrams_to_send():
                    busy = True
                    for delay_s in self.mischief(datagram, node.address, self.now):
                        self._enqueue(
                            self.now + delay_s, node.address, datagram.destination, datagram.data
                        )

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        end = self.now + seconds
        self.collect()
        stuck = 0
        while (at := self._next_time()) is not None and at <= end:
            stuck = 0 if at > self.now else stuck + 1
            assert stuck < MAXIMUM_STEPS, "time stands still: a deadline is never met"
            self.now = max(at, self.now)
            while self._queue and self._queue[0][0] <= self.now:
                _, _, source, destination, data = heappop(self._queue)
                self.carried.append((self.now, source, destination, data))
                node = self.nodes.get(destination)
                if node is not None:
                    node.endpoint.receive_datagram(data, source, self.now)
            for node in self.nodes.values():
                timer = node.endpoint.get_timer()
                if timer is not None and timer <= self.now:
                    node.endpoint.handle_timer(self.now)
            self.collect()
        self.now = end

    def _next_time(self) -> float | None:
        times = [self._queue[0][0]] if self._queue else []
        for node in self.nodes.values():
            timer = node.endpoint.get_timer()
            if timer is not None:
                times.append(timer)
        return min(times, default=None)

    def _enqueue(self, at: float, source: Address, destination: Address, data: bytes) -> None:
        heappush(self._queue, (at, next(self._order), source, destination, data))


def lac_config(**changes: object) -> EndpointConfig:
    """A LAC that opens tunnels and takes none."""
    return EndpointConfig(**{"host_name": "lac", **changes})  # type: ignore[arg-type]


def lns_config(**changes: object) -> EndpointConfig:
    """An LNS that takes tunnels and calls."""
    values = {"host_name": "lns", "accepts_tunnels": True, "accepts_calls": True, **changes}
    return EndpointConfig(**values)  # type: ignore[arg-type]
