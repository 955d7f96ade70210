"""What a tracer answers: the shape of a snapshot, the same in Python and in JSON.

Units are in the names. Bytes are UDP payload: the L2TP header and all after it,
as the driver's own statistics count. Ids are those of the received header in
host byte order, that is the ids that the receiving end chose.
"""

from typing import TypedDict


class HookState(TypedDict):
    """One hook: attached or not, and what is not seen without it.

    how: fentry, fexit, kprobe or kretprobe; None when it is not attached.
    reason: why not, or why not in the better way; empty when there is nothing to say.
    hides: what is missing from the figures; empty when it is attached.
    missed: runs that the kernel skipped; None when it does not tell.
    """

    name: str
    program: str
    how: str | None
    attached: bool
    reason: str
    hides: str
    missed: int | None


class FigureRow(TypedDict):
    """What reached the driver for one session, in one network namespace.

    netns: inode number, which a later namespace can be given again.
    netns_cookie: tells the two apart (SO_NETNS_COOKIE).
    session_id 0 holds the tunnel's own control messages.
    last_seen_ns: CLOCK_MONOTONIC of the last datagram.
    version: of L2TP; 0 when the header was cut short or could not be read.
    consumed, passed_up: packets for which the driver's hook returned 0 and 1.
    data_passed_up: data for a session that the driver does not know.
    ppp_control_packets: of data_consumed, frames of PPP protocols from 0xc000 on
    (LCP, authentication), which go to pppd and are counted by no ppp interface.
    latency_ns_log2: slot n counts frames that took 2^n to 2^(n+1) ns from the
    driver to their ppp interface; latency_packets is their sum.
    """

    netns: int
    netns_cookie: int
    tunnel_id: int
    session_id: int
    version: int
    direction: str
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


class Snapshot(TypedDict):
    """Every figure at one moment.

    lost_events: how much the probes know that they did not see or could not
    place, the sum of losses and of the hooks' missed runs.
    figures: ordered by netns, tunnel and session; where a netns number was used
    again, the namespace that was heard of last comes last.
    time_ns: CLOCK_MONOTONIC, as the kernel's own probes measure.
    """

    hooks: list[HookState]
    lost_events: int
    losses: dict[str, int]
    figures: list[FigureRow]
    time_ns: int
