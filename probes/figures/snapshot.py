"""What a tracer answers: the shape of a snapshot, the same in Python and in JSON.

Units are in the names. Bytes are UDP payload: the L2TP header and all after it,
as the driver's own statistics count. Ids are those of the received header in
host byte order, that is the ids that the receiving end chose.
"""

from typing import TypedDict

from probes.hooks.state import HookState


class Numbers(TypedDict):
    """What the numbers (Ns, RFC 2661 §5.4) of a session's data say, of a session that uses them.

    rx_gaps: how often numbers were jumped over, rx_skipped: how many numbers that were.
    rx_late: packets behind a higher number, which fill a gap or repeat; rx_depth: how far at most.
    rx_next_ns: one above the highest number received; nr: the number that the driver expects.
    queue, queue_max: packets in the reorder queue, at the last numbered packet and at most.
    rx_resyncs: how often the driver gave up a gap and took on the peer's number.
    """

    rx_numbered: int
    rx_last_ns: int
    rx_next_ns: int
    rx_gaps: int
    rx_skipped: int
    rx_late: int
    rx_depth: int
    rx_resyncs: int
    nr: int
    queue: int
    queue_max: int
    tx_numbered: int
    tx_last_ns: int


class Peer(TypedDict):
    """The other end of a session, where it is on this kernel and nothing else could be it.

    Its own row has the rest: data_packets is what arrived there of what this end sent.
    """

    netns: int
    netns_cookie: int
    tunnel_id: int
    session_id: int
    data_packets: int
    tx_packets: int


class Difference(TypedDict):
    """What one of the driver's counters should say by the probes' figures, and what it says."""

    probes: int
    driver: int


class Reconciliation(TypedDict):
    """A row beside the driver's own counters (struct l2tp_stats, by netlink).

    Those of session_id 0 are the tunnel's: the sum of its sessions, of those that ended as well.
    counters: as the driver has them. older: what was there before the probes came, counters of 0
    left out; it is known from the first look, and must not change. differs: where the figures and
    what is older do not make what the driver says; agrees: nowhere.
    """

    agrees: bool
    counters: dict[str, int]
    older: dict[str, int]
    differs: dict[str, Difference]


class FigureRow(TypedDict):
    """What the driver received and sent for one session, in one network namespace.

    What does not begin with tx_ is of what was received.

    netns: inode number, which a later namespace can be given again.
    netns_cookie: tells the two apart (SO_NETNS_COOKIE).
    session_id 0 holds the tunnel's own control messages.
    last_seen_ns: CLOCK_MONOTONIC of the last datagram.
    version: of L2TP; 0 when the header was cut short or could not be read.
    consumed, passed_up: packets for which the driver's hook returned 0 and 1.
    data_passed_up: data that the driver had no use for, most often of a session it does not know.
    verdicts: what became of each packet, by verdicts.Verdict, none of them 0. Those of what was
    received add up to packets. waiting: of these, not settled yet. dropped: of these, lost;
    dropped_unrecorded: lost without any L2TP counter's knowing.
    ppp_control_packets: of data_consumed, frames of PPP protocols from 0xc000 on, and of 0x80fb
    (LCP, authentication), which go to pppd and are counted by no ppp interface.
    latency_ns_log2: slot n counts frames that took 2^n to 2^(n+1) ns from the
    driver to their ppp interface; latency_packets is their sum.
    tx_packets, tx_bytes: data handed to IP; tx_errors: data that was not.
    tx_ns_log2: the same of l2tp_xmit_skb, in which IP and the device take the packet.
    interface: of the session, where the driver knows it. uses: how often these ids were given;
    what was counted for an earlier owner is gone. registered_ns, ended_ns: CLOCK_MONOTONIC,
    None for "before the tracer" and "not yet"; what is older than the tracer ended when it was
    found to be gone.
    local_address, peer_address: of the tunnel's UDP socket, with the port; empty if not known.
    peer_tunnel_id, peer_session_id: the ids that the other end chose; 0 if not known.
    numbers: None when the session's data has no numbers. peer: see Peer.
    driver: beside the driver's own counters; None where it has none: of ids that it does not know,
    of sessions that have ended.
    """

    netns: int
    netns_cookie: int
    tunnel_id: int
    session_id: int
    version: int
    last_seen_ns: int
    packets: int
    bytes: int
    control_packets: int
    control_bytes: int
    data_packets: int
    data_bytes: int
    consumed: int
    passed_up: int
    data_consumed: int
    data_passed_up: int
    ppp_control_packets: int
    latency_packets: int
    latency_ns_total: int
    latency_ns_log2: list[int]
    latency_ns_p50: int | None
    latency_ns_p90: int | None
    latency_ns_p99: int | None
    verdicts: dict[str, int]
    waiting: int
    dropped: int
    dropped_unrecorded: int
    tx_packets: int
    tx_bytes: int
    tx_errors: int
    tx_ns_total: int
    tx_ns_log2: list[int]
    tx_ns_p50: int | None
    tx_ns_p90: int | None
    tx_ns_p99: int | None
    interface: str
    uses: int
    registered_ns: int | None
    ended_ns: int | None
    local_address: str
    peer_address: str
    peer_tunnel_id: int
    peer_session_id: int
    numbers: Numbers | None
    peer: Peer | None
    driver: Reconciliation | None


class Snapshot(TypedDict):
    """Every figure at one moment.

    lost_events: how much the probes know that they did not see or could not
    place, the sum of losses and of the hooks' missed runs.
    figures: ordered by netns, tunnel and session; where a netns number was used
    again, the namespace that was heard of last comes last.
    evicted_figures: sessions that had ended, or were never known, and made room for others.
    costs_measured: whether the kernel measures the programs' own time (HookState.run_ns).
    not_reconciled: why the figures could not be held against the driver's counters; else empty.
    one_in: figures are of one packet in so many; 1 is every packet.
    time_ns: CLOCK_MONOTONIC, as the kernel's own probes measure.
    """

    hooks: list[HookState]
    lost_events: int
    losses: dict[str, int]
    figures: list[FigureRow]
    evicted_figures: int
    costs_measured: bool
    not_reconciled: str
    one_in: int
    time_ns: int
