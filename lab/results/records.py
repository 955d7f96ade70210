"""The shapes of what journeys and timelines say, a model for each; docs/trace.md tells them.

For whoever reads those lines, and for the tests, which hold real output against them. What the
tool writes it writes without them: importing pydantic takes longer than most commands.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Nanoseconds = Annotated[int, Field(ge=0)]
Id = Annotated[int, Field(ge=1, le=0xFFFF_FFFF)]
Octets = Annotated[int, Field(ge=0)]


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


JOURNEY_LINE: TypeAdapter[JourneyRecord | JourneyStatus] = TypeAdapter(
    Annotated[JourneyRecord | JourneyStatus, Field(discriminator="kind")]
)
"""What ``l2tp-lab journey --json`` writes in a line."""
