"""Events at hops to journeys: which way a packet took, how long each step took, and where it ended.

Pure: events and times go in, journeys come out. A journey is known by the
packet's address and the generation that the program gave it, so that a packet
that gets the address of an earlier one is another journey.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from probes.journeys import packet
from probes.journeys.ends import End, Names, end_of
from probes.journeys.events import ENDS, Event, Hop

# A packet can wait as long for a daemon or for an earlier packet; then it is lost from sight.
PATIENCE_NS = 3_000_000_000
# More open journeys than this, and the oldest is given up: memory stays bounded. Of as many that
# were given up it is kept what was seen, for those that go on.
MAX_OPEN = 4096

_Key = tuple[int, int]


class Journey(NamedTuple):
    """One packet's way. events: in order of time. original: of a copy, whose copy it is.

    again: it was told before, as waiting or lost from sight, and has gone on since.
    """

    skb: int
    generation: int
    events: tuple[Event, ...]
    inner: packet.Inner
    end: End
    original: _Key | None = None
    again: bool = False

    @property
    def number(self) -> str:
        """A name for it, unique while the box runs."""
        return number_of((self.skb, self.generation))


def number_of(key: _Key) -> str:
    """Name a journey by address and generation."""
    return f"{key[0]:x}-{key[1]:x}"


class Journeys:
    """Collects events until their journeys have ended.

    names: what the kernel's numbers mean, for the ends.
    sees_drops: whether the kernel tells of drops here.
    """

    def __init__(self, names: Names, *, sees_drops: bool = True) -> None:
        self._names = names
        self._sees_drops = sees_drops
        self._open: dict[_Key, list[Event]] = {}
        self._by_skb: dict[int, int] = {}
        self._given_up: dict[_Key, list[Event]] = {}
        self._again: set[_Key] = set()
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, events: Iterable[Event]) -> Iterator[Journey]:
        """Take events over; gives the journeys that have ended with them."""
        for event in events:
            key = (event.skb, event.generation)
            before = self._by_skb.get(event.skb)
            if before is not None and before < event.generation:
                # The kernel uses the address for another packet: the former was freed unseen.
                yield from self._finish((event.skb, before))
            if key in self._given_up:
                self._open[key] = self._given_up.pop(key)
                self._again.add(key)
            if key not in self._open and event.hop in ENDS:
                continue  # nothing but its end is known: its events were lost, and counted
            self._open.setdefault(key, []).append(event)
            self._by_skb[event.skb] = event.generation
            if event.hop in ENDS:
                yield from self._finish(key)
            elif len(self._open) > MAX_OPEN:
                self.forgotten += 1
                yield from self._finish(next(iter(self._open)))

    def expire(self, now_ns: int, patience_ns: int = PATIENCE_NS) -> Iterator[Journey]:
        """Give up journeys of which nothing was heard for patience_ns.

        Those that go on nevertheless are told again.
        """
        quiet = {
            key: events
            for key, events in self._open.items()
            if events[-1].time_ns + patience_ns <= now_ns
        }
        for key, events in quiet.items():
            self._given_up[key] = events
            if len(self._given_up) > MAX_OPEN:
                del self._given_up[next(iter(self._given_up))]
            yield from self._finish(key)

    def _finish(self, key: _Key) -> Iterator[Journey]:
        events = self._open.pop(key, None)
        again = key in self._again
        self._again.discard(key)
        if self._by_skb.get(key[0]) == key[1]:
            del self._by_skb[key[0]]
        if not events:
            return
        events.sort(key=lambda event: event.time_ns)
        original = next((event.detail for event in events if event.hop is Hop.CLONED), None)
        if original and not any(event.hop not in ENDS for event in events[1:]):
            return  # a copy that went nowhere: a capture's
        inner = _inner(events)
        end = end_of(events, inner, self._names, sees_drops=self._sees_drops)
        yield Journey(*key, tuple(events), inner, end, original, again)


_READERS: dict[Hop, Callable[[bytes], packet.Inner]] = {
    Hop.PPP_START_XMIT: packet.of_ip,
    Hop.L2TP_XMIT_SKB: packet.of_ppp,
    Hop.L2TP_UDP_ENCAP_RECV: lambda octets: packet.of_l2tp(packet.l2tp_of_ip(octets)),
    Hop.NETIF_RX: packet.of_ip,
}


def _inner(events: list[Event]) -> packet.Inner:
    for event in events:
        if event.packet and (reader := _READERS.get(event.hop)):
            return reader(event.packet)
    return packet.Inner()


def as_json(journey: Journey, names: Names, wall_offset_ns: int) -> dict[str, Any]:
    """Give a journey as a JSON object; docs/trace.md describes it.

    wall_offset_ns: what to add to CLOCK_MONOTONIC for the time of day.
    """
    first, last = journey.events[0], journey.events[-1]
    return {
        "kind": "journey",
        "journey": journey.number,
        "copy_of": number_of(journey.original) if journey.original else None,
        "again": journey.again,
        "time_ns": first.time_ns,
        "wall_ns": first.time_ns + wall_offset_ns,
        "duration_ns": last.time_ns - first.time_ns,
        "packet": journey.inner._asdict(),
        "end": journey.end._asdict(),
        "hops": list(_hops(journey, names)),
    }


def _hops(journey: Journey, names: Names) -> Iterator[dict[str, Any]]:
    before = journey.events[0]
    for event in journey.events:
        yield {
            "hop": event.hop.name.lower(),
            "time_ns": event.time_ns,
            "since_ns": event.time_ns - before.time_ns,
            "length": event.length,
            "netns": event.netns or None,
            "node": names.node(event.netns),
            "interface": event.interface or None,
            "tunnel_id": event.tunnel_id or None,
            "session_id": event.session_id or None,
            "peer_tunnel_id": event.peer_tunnel_id or None,
            "peer_session_id": event.peer_session_id or None,
            "octets": event.packet.hex(),
        }
        before = event
