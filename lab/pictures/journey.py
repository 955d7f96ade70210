"""One packet's journey for the terminal: a line a hop, with lengths and the time between hops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from lab.pictures.canvas import to_ascii
from probes.figures.table import cost
from probes.hooks.state import missed_lines
from probes.journeys.events import JOURNEY_LOSS_MEANINGS, JourneyLoss

WIDTH = 79
_NAME = 8

_MARKS = {"delivered": "✓", "passed_up": "↑", "left": "→", "waiting": "…", "lost_from_sight": "?"}

# What happens at a hop, where its name does not say it to everybody.
_SAYS = {
    "ppp_start_xmit": "into PPP",
    "pppol2tp_xmit": "PPP header added",
    "l2tp_xmit_skb": "into the driver",
    "ip_queue_xmit": "L2TP and UDP added",
    "inet6_csk_xmit": "L2TP and UDP added",
    "net_dev_queue": "into the device's queue",
    "net_dev_start_xmit": "onto the wire",
    "netif_receive_skb": "off the wire",
    "l2tp_udp_encap_recv": "into the driver",
    "l2tp_recv_common": "session found",
    "pppol2tp_recv": "L2TP removed",
    "ppp_input": "into PPP",
    "netif_rx": "to its interface",
    "passed_up": "to the UDP socket",
    "cloned": "copied",
    "received": "taken by the stack",
    "dropped": "freed as lost",
    "consumed": "freed as done",
}


def draw_journey(journey: Mapping[str, Any], *, ascii_only: bool = False) -> str:
    """Draw a journey (docs/trace.md) below 80 columns."""
    text = "\n".join(_lines(journey)) + "\n"
    return to_ascii(text) if ascii_only else text


def _lines(journey: Mapping[str, Any]) -> Iterator[str]:
    end = journey["end"]
    mark = _MARKS.get(end["outcome"], "✗")
    copy = "a copy of it: " if journey["copy_of"] else ""
    again = "it went on: " if journey["again"] else ""
    yield from _wrapped(f"{mark} {again}{copy}{_packet(journey['packet'])}")
    node = None
    before = None
    for hop in journey["hops"]:
        here = hop["node"] or (str(hop["netns"]) if hop["netns"] else node)
        shown = here if here != node else ""
        node = here
        length = hop["length"]
        change = "" if before in (None, length) else f"{length - before:+d}"
        before = length
        yield (
            f"  {_end_of(shown or ''):<8} {_end_of(hop['interface'] or ''):<8} {hop['hop']:<19}"
            f"{length:>6} {change:>5} {duration(hop['since_ns']):>9}  {_note(hop)}"
        )[:WIDTH].rstrip()
    yield from _wrapped(f"  {end['says']}, after {duration(journey['duration_ns']).strip()}")
    if end["reason"] or end["function"]:
        function = end["function"] or "an unknown function"
        yield from _wrapped(f"  the kernel says: {end['reason']} in {function}")


def _wrapped(line: str) -> list[str]:
    return wrap(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _end_of(name: str) -> str:
    """Cut a name to its column: names that are long differ at their ends."""
    return name if len(name) <= _NAME else "…" + name[1 - _NAME :]


def _packet(packet: Mapping[str, Any]) -> str:
    if not packet["source"]:
        return packet["protocol"] or "a packet that was not looked into"
    return f"{packet['protocol']}  {packet['source']} → {packet['destination']}"


def _note(hop: Mapping[str, Any]) -> str:
    if hop["tunnel_id"]:
        return f"{hop['tunnel_id']}/{hop['session_id'] or 0}"
    return _SAYS[hop["hop"]][:16]


def duration(time_ns: int) -> str:
    """Write a time between two hops in the unit that suits it."""
    for unit, factor in (("s ", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if time_ns >= factor:
            return f"{time_ns / factor:.1f} {unit}"
    return f"{time_ns} ns"


def honesty(status: Mapping[str, Any]) -> list[str]:
    """Say what was not seen: hooks that are not attached, events that were lost; a line each."""
    lines = [
        f"not attached: {hook['name']}: hides {hook['hides']} ({hook['reason']})"
        for hook in status["hooks"]
        if not hook["attached"]
    ]
    lines += [
        f"lost: {count} {JOURNEY_LOSS_MEANINGS[JourneyLoss[name.upper()]]}"
        for name, count in status["losses"].items()
        if count
    ]
    lines += missed_lines(status["hooks"])
    if status["forgotten_journeys"]:
        lines.append(f"lost: {status['forgotten_journeys']} journeys given up for want of memory")
    return lines


def draw_honesty(status: Mapping[str, Any]) -> str:
    """Say what was not seen, and in the end what the probes cost."""
    lines = honesty(status)
    if status["kind"] == "status":
        lines.append(cost(status["hooks"]))
    return "".join(line + "\n" for line in lines)
