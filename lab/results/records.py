"""The shapes of what trace, journey and timeline say, a model for each; docs/trace.md tells them.

For whoever reads those lines, and for the tests, which hold real output against them. What the
tool writes it writes without them: importing pydantic takes longer than most commands.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Nanoseconds = Annotated[int, Field(ge=0)]
Id = Annotated[int, Field(ge=1, le=0xFFFF_FFFF)]
Octets = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Packet(_Record):
    """What the subscriber's packet says of itself; empty where it was not seen."""

    protocol: str
    source: str
    destination: str
    ppp_protocol: Annotated[int, Field(ge=0, le=0xFFFF)]


class JourneyEnd(_Record):
    """Where and how a journey ended."""

    outcome: Literal["delivered", "passed_up", "dropped", "waiting", "left", "lost_from_sight"]
    verdict: str | None
    says: str
    reason: str
    function: str
    netns: int | None
    node: str | None


class JourneyHop(_Record):
    """One place on the way."""

    hop: str
    time_ns: Nanoseconds
    since_ns: Nanoseconds
    length: Octets
    netns: int | None
    node: str | None
    interface: str | None
    tunnel_id: Id | None
    session_id: Id | None
    peer_tunnel_id: Id | None
    peer_session_id: Id | None
    octets: Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]


class JourneyRecord(_Record):
    """One packet's way."""

    kind: Literal["journey"]
    journey: str
    copy_of: str | None
    again: bool
    time_ns: Nanoseconds
    wall_ns: Nanoseconds
    duration_ns: Nanoseconds
    packet: Packet
    end: JourneyEnd
    hops: Annotated[list[JourneyHop], Field(min_length=1)]


class Hook(_Record):
    """One place where the probes are, or could not be."""

    name: str
    program: str
    how: str | None
    attached: bool
    reason: str
    hides: str
    missed: int | None
    run_count: int | None = None
    run_ns: int | None = None


class JourneyStatus(_Record):
    """What was not seen: told first ("ready") and last ("status")."""

    kind: Literal["ready", "status"]
    time_ns: Nanoseconds
    eligible_packets: int
    open_journeys: int
    forgotten_journeys: int
    lost_events: int
    losses: dict[str, int]
    hooks: list[Hook]


class TimelineRecord(_Record):
    """One line of a timeline."""

    time_ns: Nanoseconds
    wall_ns: Nanoseconds
    node: str
    netns: int | None
    tunnel: str | None
    tunnel_id: Id | None
    session_id: Id | None
    peer_tunnel_id: Id | None
    peer_session_id: Id | None
    source: Literal["daemon", "pppd", "kernel"]
    event: str
    says: str
    details: dict[str, Any]


class Difference(_Record):
    """One of the driver's counters that the figures do not make."""

    probes: int
    driver: int


class Reconciliation(_Record):
    """A row beside the driver's own counters."""

    agrees: bool
    counters: dict[str, int]
    older: dict[str, int]
    differs: dict[str, Difference]


class Numbers(_Record):
    """What the numbers of a session's data say."""

    rx_numbered: Count
    rx_last_ns: Count
    rx_next_ns: Count
    rx_gaps: Count
    rx_skipped: Count
    rx_late: Count
    rx_depth: Count
    rx_resyncs: Count
    nr: Count
    queue: Count
    queue_max: Count
    tx_numbered: Count
    tx_last_ns: Count


class Peer(_Record):
    """The other end of a session, where it is on this kernel."""

    netns: int
    netns_cookie: int
    tunnel_id: Count
    session_id: Count
    data_packets: Count
    tx_packets: Count


class Figures(_Record):
    """One session (or, with session_id 0, a tunnel's control messages) in one namespace."""

    netns: int
    netns_cookie: int
    tunnel_id: Count
    session_id: Count
    version: Count
    last_seen_ns: Nanoseconds
    packets: Count
    bytes: Count
    control_packets: Count
    control_bytes: Count
    data_packets: Count
    data_bytes: Count
    consumed: Count
    passed_up: Count
    data_consumed: Count
    data_passed_up: Count
    ppp_control_packets: Count
    latency_packets: Count
    latency_ns_total: Nanoseconds
    latency_ns_log2: list[Count]
    latency_ns_p50: Nanoseconds | None
    latency_ns_p90: Nanoseconds | None
    latency_ns_p99: Nanoseconds | None
    verdicts: dict[str, Count]
    waiting: Count
    dropped: Count
    dropped_unrecorded: Count
    tx_packets: Count
    tx_bytes: Count
    tx_errors: Count
    tx_ns_total: Nanoseconds
    tx_ns_log2: list[Count]
    tx_ns_p50: Nanoseconds | None
    tx_ns_p90: Nanoseconds | None
    tx_ns_p99: Nanoseconds | None
    interface: str
    uses: Count
    registered_ns: Nanoseconds | None
    ended_ns: Nanoseconds | None
    local_address: str
    peer_address: str
    peer_tunnel_id: Count
    peer_session_id: Count
    numbers: Numbers | None
    peer: Peer | None
    driver: Reconciliation | None


class TraceRecord(_Record):
    """One round of ``l2tp-lab trace --json``."""

    hooks: list[Hook]
    lost_events: Count
    losses: dict[str, Count]
    figures: list[Figures]
    evicted_figures: Count
    costs_measured: bool
    not_reconciled: str
    one_in: int
    time_ns: Nanoseconds
    nodes: dict[str, str]


JOURNEY_LINE: TypeAdapter[JourneyRecord | JourneyStatus] = TypeAdapter(
    Annotated[JourneyRecord | JourneyStatus, Field(discriminator="kind")]
)
"""What ``l2tp-lab journey --json`` writes in a line."""
