"""Asks one kernel's network for many things at once, and says which of them it refused, and why.

A netlink socket belongs for ever to the namespace that it was opened in, so it is opened inside and
used from outside. The kernel works through a datagram of messages before ``sendto`` returns, and
answers each (rtnetlink(7), net/netlink/af_netlink.c: netlink_rcv_skb).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

from lab.errors import CannotRun, LabError
from lab.network.namespaces import in_netns
from lab.network.netlink import part

# What the kernel says when it lacks a part, and the part's module.
MISSING = (
    ("Unknown device type", "veth"),
    ("qdisc kind is unknown", "sch_netem"),
)

AT_ONCE = 64
"""Messages a datagram: their answers must all fit into the socket's buffer."""

ANSWER_BYTES = 65536


class Request(NamedTuple):
    """A message, and the words for it: the command that would do the same by hand."""

    words: str
    message: Any


class NetworkError(LabError):
    """The kernel refused a link, an address, a route or an impairment."""


def send(requests: Sequence[Request], *, netns: int | None) -> None:
    """Send requests inside the namespace of the descriptor ``netns``; None is where we are.

    Raises NetworkError with the first one that the kernel refused and its reason, or CannotRun when
    the kernel lacks a module for it. Those after it may have been carried out.
    """
    if not requests:
        return
    with _open() if netns is None else in_netns(netns, _open) as channel:
        for start in range(0, len(requests), AT_ONCE):
            _exchange(channel, requests[start : start + AT_ONCE])


def indices(netns: int) -> dict[str, int]:
    """List the interfaces inside a namespace, each with its index."""
    return {name: index for index, name in in_netns(netns, socket.if_nameindex)}


def _open() -> socket.socket:
    netlink = part("netlink")
    channel = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    try:
        channel.setsockopt(netlink.SOL_NETLINK, netlink.NETLINK_EXT_ACK, 1)
    except BaseException:
        channel.close()
        raise
    return channel


def _exchange(channel: socket.socket, requests: Sequence[Request]) -> None:
    data = bytearray()
    for number, request in enumerate(requests):
        request.message["header"]["sequence_number"] = number
        request.message.encode()
        data += request.message.data
    channel.sendto(data, (0, 0))
    refused = {}
    waiting = set(range(len(requests)))
    while waiting:
        for number, error in _answers(channel, requests[min(waiting)]):
            waiting.discard(number)
            if error is not None:
                refused[number] = error
    if refused:
        first = min(refused)
        raise _refusal(requests[first].words, refused[first])


def _answers(channel: socket.socket, unanswered: Request) -> list[tuple[int, Any]]:
    """Give the sequence numbers that the next datagram answers, each with an error or None."""
    try:
        data = channel.recv(ANSWER_BYTES, socket.MSG_DONTWAIT)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise NetworkError(
            f"{unanswered.words}: the kernel's answer is missing: {reason}"
        ) from None
    marshal = part("netlink.marshal").Marshal()
    return [
        (message["header"]["sequence_number"], message["header"]["error"])
        for message in marshal.parse(data)
    ]


def _refusal(words: str, error: Any) -> LabError:
    reason = str(error.args[-1])
    for said, module in MISSING:
        if said in reason:
            return CannotRun(
                f"{words}: {reason} This kernel lacks {module}: "
                f"modprobe {module}, or use another kernel: --place appliance"
            )
    return NetworkError(f"{words}: {reason}")
