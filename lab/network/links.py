"""Makes links, and what is on them, by netlink: many requests a datagram, one a namespace."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from lab.network.names import open_own
from lab.network.netlink_messages import Sight, message_of, unlink_message
from lab.network.netlink_requests import Request, indices, send
from lab.network.plan import Address, LinkUp, Netem, Route, Step, Veth
from lab.network.plan_text import do_text, undo_text
from lab.network.world import ABSENT, REMOVED, Entry, Identity, Removal

Inside = Address | LinkUp | Route | Netem
"""What is made inside one namespace, once its links are there."""

Handles = Callable[[str], int]
"""Gives a namespace's descriptor by its name."""


def make_links(steps: Sequence[Veth], handle_of: Handles) -> None:
    """Make veth pairs, each end right inside its namespace; see ``send`` for what is raised."""
    names = {name for step in steps for name in (step.netns, step.peer_netns)}
    sight = Sight({name: handle_of(name) for name in names}, {})
    send([_request(step, sight) for step in steps], netns=None)


def make_inside(steps: Sequence[Inside], handle_of: Handles) -> None:
    """Make addresses, routes and impairments, in order; see ``send`` for what is raised."""
    for name in dict.fromkeys(step.netns for step in steps):
        handle = handle_of(name)
        sight = Sight({}, indices(handle))
        send([_request(step, sight) for step in steps if step.netns == name], netns=handle)


def _request(step: Step, sight: Sight) -> Request:
    return Request(do_text(step), message_of(step, sight))


def unlink(
    entries: Sequence[Entry], namespaces: Mapping[str, Identity], same_boot: bool
) -> list[Removal]:
    """Delete veth pairs now, since a namespace lives on while somebody else is inside."""
    if not same_boot:
        return [Removal(entry, ABSENT) for entry in entries]
    found = []
    for name in dict.fromkeys(entry.step["netns"] for entry in entries):
        handle = open_own(name, namespaces[name]) if name in namespaces else None
        if handle is not None:
            try:
                own = [entry for entry in entries if entry.step["netns"] == name]
                found += _unlink_inside(handle, own)
            finally:
                os.close(handle)
    return [Removal(entry, REMOVED if entry in found else ABSENT) for entry in entries]


def _unlink_inside(handle: int, entries: Sequence[Entry]) -> list[Entry]:
    there = indices(handle)
    found = [entry for entry in entries if entry.step["interface"] in there]
    requests = [
        Request(undo_text(Veth(**entry.step)), unlink_message(there[entry.step["interface"]]))
        for entry in found
    ]
    send(requests, netns=handle)
    return found
