"""What became of a packet whose journey is over: a verdict of the driver, or the kernel's reason.

The driver gives no drop reasons. Where it freed a packet says why: the location that the
tracepoint skb:kfree_skb tells.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from probes.figures.verdicts import Outcome, Verdict
from probes.journeys import packet
from probes.journeys.events import Cause, Event, Hop


class Names(Protocol):
    """What the kernel's numbers mean."""

    def node(self, netns: int) -> str | None:
        """Name a network namespace by its inode number."""

    def function(self, address: int) -> str:
        """Name the function that a code address lies in; empty where that is not known."""

    def reason(self, number: int) -> str:
        """Name a drop reason of the kernel."""


class End(NamedTuple):
    """The end of a journey.

    outcome: delivered, passed_up, dropped, waiting, left (the box), or lost_from_sight.
    verdict: the driver's (verdicts.py) by its label, None where another part decided.
    says: all of it in words. reason: the kernel's own drop reason. function: where it was freed.
    netns: where it was last seen; node: that namespace's name.
    """

    outcome: str
    verdict: str | None
    says: str
    reason: str = ""
    function: str = ""
    netns: int | None = None
    node: str | None = None


_CAUSES = {
    Cause.OUT_OF_SEQUENCE: Verdict.OUT_OF_SEQUENCE,
    Cause.EXPIRED: Verdict.EXPIRED,
    Cause.OUTSIDE_WINDOW: Verdict.OUTSIDE_WINDOW,
}

# Whoever the driver hands a frame to frees it in one of these, if at once: the compiler ends
# functions in jumps, so that a caller's name can stand for that of the function called.
_AT_ONCE = frozenset({"ppp_input", "pppol2tp_recv", "l2tp_recv_common", "l2tp_udp_encap_recv"})
# By the last hop and the function that freed: who freed it there did so for this cause only.
_FREED_BY = {
    (Hop.PPP_INPUT, "ppp_read"): Verdict.READ,
    (Hop.PPP_INPUT, "ppp_release_channel"): Verdict.CLOSED_UNREAD,
    (Hop.PPP_INPUT, "ppp_destroy_channel"): Verdict.CLOSED_UNREAD,
    **{(Hop.PPPOL2TP_RECV, function): Verdict.NO_SOCKET for function in _AT_ONCE},
    (Hop.PPPOL2TP_RECV, "pppol2tp_recvmsg"): Verdict.READ,
    (Hop.PPPOL2TP_XMIT, "pppol2tp_xmit"): Verdict.SEND_ABORTED,
}


def end_of(
    events: Sequence[Event], inner: packet.Inner, names: Names, *, sees_drops: bool = True
) -> End:
    """Say how a journey ended.

    events: its own, in order of time; the last one is its end, if that was seen.
    sees_drops: whether a packet that is silent cannot have been dropped.
    """
    netns = next((event.netns for event in reversed(events) if event.netns), None)
    node = names.node(netns) if netns else None
    return _what(events, inner, names, sees_drops)._replace(netns=netns, node=node)


def _what(events: Sequence[Event], inner: packet.Inner, names: Names, sees_drops: bool) -> End:
    last = events[-1]
    hops = [event.hop for event in events]
    if last.hop is Hop.DROPPED:
        return _freed(events, inner, names)
    if Hop.NETIF_RX in hops:
        return _by(Verdict.DELIVERED)
    if Hop.PASSED_UP in hops:
        return _by(Verdict.UNKNOWN_SESSION)
    if last.hop is Hop.CONSUMED:
        return _consumed(events)
    return _silent(last, inner if sees_drops else None)


#: What the hook sees of a datagram begins with its UDP header.
_UDP_OCTETS = 8

_OUTCOMES = {
    Outcome.ACCEPTED: "delivered",
    Outcome.PASSED_UP: "passed_up",
    Outcome.DROPPED: "dropped",
    Outcome.WAITING: "waiting",
    Outcome.UNKNOWN: "lost_from_sight",
}


def _by(verdict: Verdict, reason: str = "", function: str = "") -> End:
    meaning = verdict.meaning
    return End(_OUTCOMES[meaning.outcome], verdict.label, meaning.says, reason, function)


def _freed(events: Sequence[Event], inner: packet.Inner, names: Names) -> End:
    last, at = events[-1], events[-2].hop if len(events) > 1 else Hop.DROPPED
    reason, address = last.detail
    function = names.function(address)
    why = names.reason(reason)
    verdict = _CAUSES.get(last.cause) or _FREED_BY.get((at, function))
    if verdict is None and at is Hop.PASSED_UP:
        verdict = Verdict.UNKNOWN_SESSION  # whoever reads the socket has freed it
    if verdict is None and at is Hop.L2TP_RECV_COMMON:
        verdict = _in_the_driver(events, function)
    if verdict is None and at is Hop.PPP_INPUT and function in _AT_ONCE:
        control = inner.ppp_protocol >= packet.PPP_CONTROL_FROM
        verdict = Verdict.QUEUE_FULL if control else Verdict.CHANNEL_GONE
    if verdict is None and at is Hop.PPP_INPUT:
        verdict = Verdict.PPP_REFUSED
    if verdict is None and at is Hop.L2TP_XMIT_SKB:
        verdict = Verdict.SEND_FAILED
    if verdict is not None and verdict.meaning.outcome is Outcome.ACCEPTED:
        return _by(verdict)  # read, and freed with the reason and in the function of what is lost
    if verdict is not None:
        return _by(verdict, why, function)
    where = f" in {function}" if function else ""
    return End("dropped", None, f"dropped{where}: {why.lower()}", why, function)


def _in_the_driver(events: Sequence[Event], function: str) -> Verdict:
    """Tell apart what the driver frees without a word of a tracepoint."""
    if "purge" in function or "delete" in function or "close" in function:
        return Verdict.REORDER_PURGED
    for event in events:
        message = packet.l2tp_of_ip(event.packet)
        if event.hop is not Hop.L2TP_UDP_ENCAP_RECV or not message:
            continue
        if packet.header_octets(message) > event.length - _UDP_OCTETS:
            return Verdict.BAD_OFFSET
        if not packet.has_sequence(message):
            return Verdict.SEQUENCE_REQUIRED
    return Verdict.UNKNOWN_CAUSE


def _consumed(events: Sequence[Event]) -> End:
    at = events[-2] if len(events) > 1 else events[-1]
    if at.hop is Hop.NET_DEV_START_XMIT:
        return End("left", None, f"left the box through {at.interface}")
    if at.hop is Hop.PPPOL2TP_RECV:
        return _by(Verdict.READ)
    if at.hop is Hop.PPP_START_XMIT:
        return End("lost_from_sight", None, "its buffer was replaced in PPP (compressed or split)")
    return End("lost_from_sight", None, f"freed as done after {at.hop.name.lower()}")


def _silent(last: Event, inner: packet.Inner | None) -> End:
    if inner is None:
        return End(
            "lost_from_sight",
            Verdict.LOST_FROM_SIGHT.label,
            f"lost from sight after {last.hop.name.lower()}: drops cannot be seen here",
        )
    if last.hop is Hop.PPP_INPUT and inner.ppp_protocol >= packet.PPP_CONTROL_FROM:
        return _by(Verdict.WAITING_PPP)
    if last.hop is Hop.PPPOL2TP_RECV:
        return _by(Verdict.WAITING_SOCKET)
    if last.hop is Hop.L2TP_RECV_COMMON:
        return _by(Verdict.WAITING_REORDER)
    return End(
        "lost_from_sight",
        Verdict.LOST_FROM_SIGHT.label,
        f"lost from sight after {last.hop.name.lower()}: nothing more was heard of it",
    )
