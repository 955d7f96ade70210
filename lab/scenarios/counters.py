"""Do the driver's ioctl, netlink, the ppp interface and BPF count the same packets?

Between two quiet moments a known number of pings goes through, and each source tells how many
packets that made. The tracer may have come when PPP already ran, so totals would not compare.

The identity (both directions, in a quiet moment, without drops): a session's packets are the ppp
interface's packets and the frames of PPP protocols at or above 0xc000, which stop in the channel's
queue for pppd (``ppp_input``); the receive hook sees those alone as data of the session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from lab.errors import CannotRun
from lab.instruments.kernelview import interfaces, l2tp_objects, netns_inode
from lab.instruments.ping import ping
from lab.instruments.pppol2tp import entries
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding
from lab.scenarios.sample import sample
from probes.figures.snapshot import Snapshot
from probes.figures.table import ends_text

QUESTION = "Do PPPIOCGL2TPSTATS, netlink, the ppp interface and BPF agree to the packet?"

_PINGS = 23
#: How often to look for two equal readings in a row before saying that the lab is not quiet.
_READINGS = 20


@dataclass(frozen=True, slots=True)
class _Counts:
    """One end's counts of one session, from the four sources, in packets.

    ``own`` is what the session's socket told whoever holds it.
    """

    own_rx: int
    own_tx: int
    netlink_rx: int
    netlink_tx: int
    interface_rx: int
    interface_tx: int
    hook_data: int
    hook_ppp_control: int
    hook_consumed: int
    hook_passed_up: int
    drops: int

    def since(self, before: _Counts) -> _Counts:
        """Tell what was counted between two readings."""
        return _Counts(
            **{
                field.name: getattr(self, field.name) - getattr(before, field.name)
                for field in fields(self)
            }
        )


def run(live: Live) -> Iterator[Finding]:
    """Read the four sources at both ends of each session, before and after some pings."""
    for ends in sample(live.sessions()):
        lac_before, lns_before = _quiet(live, ends)
        (target, *_) = live.targets(ends)
        interface = ends.lac["ppp"]["interface"]
        answers = ping(live.netns(ends.tunnel.lac), target, count=_PINGS, interface=interface)
        lac_after, lns_after = _quiet(live, ends)
        lac, lns = lac_after.since(lac_before), lns_after.since(lns_before)
        yield Finding(
            f"{ends.call.user}: {_PINGS} pings are {_PINGS} packets at each end's ppp interface",
            answers.received == _PINGS and _are_the_pings(live, ends, lac, lns),
            f"{answers.received} answered, {lns.interface_rx} received at the LNS, "
            f"{lac.interface_rx} at the LAC",
        )
        for side, counts in ((ends.tunnel.lac, lac), (ends.tunnel.lns, lns)):
            who = f"{ends.call.user} at {side}"
            yield from _one_end(who, counts, foreign=side in live.peers)
        for sender, receiver, names in ((lac, lns, "LAC → LNS"), (lns, lac, "LNS → LAC")):
            yield Finding(
                f"{ends.call.user}: {names}: every packet sent was received",
                sender.netlink_tx == receiver.netlink_rx,
                f"{sender.netlink_tx} sent, {receiver.netlink_rx} received",
            )
    yield _reconciled(live)


def _reconciled(live: Live) -> Finding:
    inodes = {netns_inode(live.netns(node)) for node in live.daemons}
    rows = [row for row in live.tracer.snapshot()["figures"] if row["netns"] in inodes]
    held = [(row["session_id"], row["driver"]) for row in rows if row["driver"] is not None]
    differ = [name for _, driver in held for name in driver["differs"]]
    sessions = sum(session_id != 0 for session_id, _ in held)
    ends = ends_text(len(held) - sessions, sessions)
    return Finding(
        "BPF's figures make the driver's own counters, of every tunnel and session since it began",
        bool(held) and not differ,
        f"{ends}, differing in {', '.join(differ) or 'nothing'}",
    )


def _are_the_pings(live: Live, ends: SessionEnds, lac: _Counts, lns: _Counts) -> bool:
    """Tell whether nothing else passed, but what advertises a prefix and may do so at any time."""
    advertised = live.topology.user(ends.call.user).has_advertised_prefix
    as_many = (lns.interface_rx, lac.interface_rx) == (_PINGS, _PINGS)
    return as_many or (advertised and min(lns.interface_rx, lac.interface_rx) >= _PINGS)


def _one_end(who: str, counts: _Counts, *, foreign: bool) -> Iterator[Finding]:
    # A foreign daemon holds the socket that the ioctl is for; /proc counts the same there.
    source = "/proc/net/pppol2tp" if foreign else "PPPIOCGL2TPSTATS"
    yield Finding(
        f"{who}: {source} and netlink agree",
        (counts.own_rx, counts.own_tx) == (counts.netlink_rx, counts.netlink_tx),
        f"rx {counts.own_rx} and {counts.netlink_rx}, tx {counts.own_tx} and {counts.netlink_tx}",
    )
    yield Finding(
        f"{who}: session rx = ppp interface rx + PPP control frames",
        counts.netlink_rx == counts.interface_rx + counts.hook_ppp_control,
        f"{counts.netlink_rx} = {counts.interface_rx} + {counts.hook_ppp_control}",
    )
    yield Finding(
        f"{who}: BPF's data packets at the hook = session rx, all consumed, none dropped",
        counts.hook_data == counts.netlink_rx == counts.hook_consumed
        and counts.hook_passed_up == counts.drops == 0,
        f"{counts.hook_data} at the hook, {counts.hook_consumed} consumed, "
        f"{counts.hook_passed_up} passed up, {counts.netlink_rx} in the session, "
        f"{counts.drops} dropped",
    )


def _quiet(live: Live, ends: SessionEnds) -> tuple[_Counts, _Counts]:
    before = None
    for _ in range(_READINGS):
        now = _both(live, ends)
        if now == before:
            return now
        before = now
    raise CannotRun(
        f"session {ends.lac['local_session_id']} never had a quiet moment in {_READINGS} readings. "
        "Stop what sends through it, then: l2tp-lab check counters"
    )


def _both(live: Live, ends: SessionEnds) -> tuple[_Counts, _Counts]:
    snapshot = live.tracer.snapshot()
    fresh = next(
        pair
        for pair in live.sessions()
        if _identity(pair.lac, pair.lac_tunnel) == _identity(ends.lac, ends.lac_tunnel)
    )
    return (
        _read(live, ends.tunnel.lac, fresh.lac_tunnel, fresh.lac, snapshot),
        _read(live, ends.tunnel.lns, fresh.lns_tunnel, fresh.lns, snapshot),
    )


def _identity(session: dict[str, Any], tunnel: dict[str, Any]) -> tuple[int, int]:
    return tunnel["local_tunnel_id"], session["local_session_id"]


def _read(
    live: Live, node: str, tunnel: dict[str, Any], session: dict[str, Any], snapshot: Snapshot
) -> _Counts:
    netns = live.netns(node)
    ids = (tunnel["local_tunnel_id"], session["local_session_id"])
    _, sessions = l2tp_objects(netns)
    netlink = next(row.statistics for row in sessions if (row.tunnel_id, row.session_id) == ids)
    interface = next(
        row for row in interfaces(netns, "ppp") if row.name == session["ppp"]["interface"]
    )
    inode = netns_inode(netns)
    hook = next(
        row
        for row in snapshot["figures"]
        if (row["netns"], row["tunnel_id"], row["session_id"]) == (inode, *ids)
    )
    first = _listed(netns, ids) if node in live.peers else session["kernel"]
    return _Counts(
        own_rx=first["rx_packets"],
        own_tx=first["tx_packets"],
        netlink_rx=netlink.rx_packets,
        netlink_tx=netlink.tx_packets,
        interface_rx=interface.rx_packets,
        interface_tx=interface.tx_packets,
        hook_data=hook["data_packets"],
        hook_ppp_control=hook["ppp_control_packets"],
        hook_consumed=hook["data_consumed"],
        hook_passed_up=hook["data_passed_up"],
        drops=netlink.rx_errors + netlink.rx_seq_discards,
    )


def _listed(netns: str, ids: tuple[int, int]) -> dict[str, int]:
    """Take a session's packets from what /proc lists."""
    entry = next(one for one in entries(netns) if (one.tunnel_id, one.session_id) == ids)
    return {"rx_packets": entry.rx_packets, "tx_packets": entry.tx_packets}
