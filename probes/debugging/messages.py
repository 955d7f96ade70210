"""What a debugger answers: the shapes of its messages and filters, the same in Python and JSON."""

from typing import TypedDict

from probes.debugging.spec import EVENTS


class Message(TypedDict):
    """One thing that the driver did. time_ns is CLOCK_MONOTONIC; session_id 0 is the tunnel."""

    time_ns: int
    netns: int
    tunnel_id: int
    session_id: int
    category: str
    event: str
    text: str


class Filter(TypedDict):
    """What is on for a tunnel or a session, and what of it was not said.

    left_out: messages beyond the rate. lost: messages for which there was no room, since nobody
    read those before.
    """

    netns: int
    tunnel_id: int
    session_id: int
    categories: list[str]
    left_out: int
    lost: int


def message_of(
    time_ns: int,
    netns: int,
    tunnel_id: int,
    session_id: int,
    number: int,
    frame: int,
    octets: int,
    nr: int,
    ns: int,
) -> Message:
    """Make a message of a record of bpf/debug.c (struct message)."""
    event = EVENTS[number]
    return Message(
        time_ns=time_ns,
        netns=netns,
        tunnel_id=tunnel_id,
        session_id=session_id,
        category=(event.category.name or "").lower(),
        event=event.name,
        text=event.words.format(number=frame, octets=octets, nr=nr, ns=ns),
    )
