"""One packet's journey for the terminal: a line a hop, with lengths and the time between hops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.pictures.canvas import to_ascii
from lab.pictures.width import cut, cut_front, folded
from probes.figures.table import cost
from probes.hooks.state import missed_lines
from probes.journeys.events import JOURNEY_LOSS_MEANINGS, JourneyLoss

_NAME = 8
_INDENT = "    "

_MARKS = {"delivered": "✓", "passed_up": "↑", "left": "→", "waiting": "…", "lost_from_sight": "?"}

# What happens at a hop, where its name does not say it to everybody; in 16 columns, to fit in 79.
_SAYS = {
    "ppp_start_xmit": "into PPP",
    "pppol2tp_xmit": "PPP header added",
    "l2tp_xmit_skb": "into the driver",
    "ip_queue_xmit": "L2TP + UDP added",
    "inet6_csk_xmit": "L2TP + UDP added",
    "net_dev_queue": "into its queue",
    "net_dev_start_xmit": "onto the wire",
    "netif_receive_skb": "off the wire",
    "l2tp_udp_encap_recv": "into the driver",
    "l2tp_recv_common": "session found",
    "pppol2tp_recv": "L2TP removed",
    "ppp_input": "into PPP",
    "netif_rx": "to its interface",
    "passed_up": "to a UDP socket",
    "cloned": "copied",
    "received": "into the stack",
    "dropped": "freed as lost",
    "consumed": "freed as done",
}


def draw_journey(
    journey: Mapping[str, Any], *, width: int | None = None, ascii_only: bool = False
) -> str:
    """Draw a journey (docs/trace.md); nothing is cut or folded unless a width is given."""
    text = "\n".join(_lines(journey, width)) + "\n"
    return to_ascii(text) if ascii_only else text


def _lines(journey: Mapping[str, Any], width: int | None) -> Iterator[str]:
    end = journey["end"]
    mark = _MARKS.get(end["outcome"], "✗")
    copy = "a copy of it: " if journey["copy_of"] else ""
    again = "it went on: " if journey["again"] else ""
    yield from folded(f"{mark} {again}{copy}{_packet(journey['packet'])}", width, _INDENT)
    node = None
    before = None
    for hop in journey["hops"]:
        here = hop["node"] or (str(hop["netns"]) if hop["netns"] else node)
        shown = (here or "") if here != node else ""
        node = here
        length = hop["length"]
        change = "" if before in (None, length) else f"{length - before:+d}"
        before = length
        most = None if width is None else _NAME
        names = (cut_front(name, most) for name in (shown, hop["interface"] or ""))
        line = (
            f"  {' '.join(f'{name:<{_NAME}}' for name in names)} {hop['hop']:<19}"
            f"{length:>6} {change:>5} {duration(hop['since_ns']):>9}  {_note(hop, end)}"
        )
        yield cut(line, width)
    took = duration(journey["duration_ns"]).strip()
    yield from folded(f"  {end['says']}, after {took}", width, _INDENT)
    if end["reason"] or end["function"]:
        function = end["function"] or "an unknown function"
        yield from folded(f"  the kernel says: {end['reason']} in {function}", width, _INDENT)


def _packet(packet: Mapping[str, Any]) -> str:
    if not packet["source"]:
        return packet["protocol"] or "a packet that was not looked into"
    return f"{packet['protocol']}  {packet['source']} → {packet['destination']}"


def _note(hop: Mapping[str, Any], end: Mapping[str, Any]) -> str:
    if hop["tunnel_id"]:
        return f"{hop['tunnel_id']}/{hop['session_id'] or 0}"
    if hop["hop"] == "dropped" and end["outcome"] == "delivered":
        return "freed"  # the kernel frees what pppd has read as if it were lost
    return _SAYS[hop["hop"]]


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


def draw_honesty(status: Mapping[str, Any], *, width: int | None = None) -> str:
    """Say what was not seen, and in the end what the probes cost."""
    lines = honesty(status)
    if status["kind"] == "status":
        lines.append(cost(status["hooks"]))
    return "".join(f"{part}\n" for line in lines for part in folded(line, width))
