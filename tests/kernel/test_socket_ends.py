"""What is left when a tunnel's sockets go, in every order, while frames keep coming."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import permutations

import pytest

from l2tp.kernel.ppp import Unit
from l2tp.protocol.errors import KernelError
from tests.kernel.daemon_support import until
from tests.kernel.pppox_support import (
    Wire,
    in_private_netns,
    lcp_echo,
    shown,
    what_ends_leaves_its_socket,
)
from tests.kernel.probe_support import data_message

pytestmark = pytest.mark.kernel

SOCKETS = ("management", "udp", "session")
Sender = Callable[[], object]


@contextmanager
def frames(wire: Wire) -> Iterator[Sender]:
    """Send frames on the near session's channel."""
    channel = wire.channel(wire.near)
    yield lambda: channel.send(lcp_echo(8))


@contextmanager
def interface(wire: Wire) -> Iterator[Sender]:
    """Send packets through a ppp interface on the near session's channel."""
    channel = wire.channel(wire.near)
    with Unit() as unit, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        channel.connect(unit.number)
        device = f"ppp{unit.number}"
        shown("addr", "add", "10.9.0.1", "peer", "10.9.0.2", "dev", device)
        shown("link", "set", device, "up")
        udp.connect(("10.9.0.2", 9))
        yield lambda: udp.send(b"packet")


@contextmanager
def traffic(wire: Wire, near: Sender) -> Iterator[None]:
    """Frames both ways: data messages to the near end, and what ``near`` sends out of it."""
    stop = threading.Event()

    def far() -> object:
        return wire.right_udp.send(data_message(10, 1, lcp_echo(7)))

    def send() -> None:
        while not stop.is_set():
            for call in (far, near):
                with suppress(OSError):  # ends come and go: that is what is looked at
                    call()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        stop.set()
        sender.join()


def received(wire: Wire) -> int | None:
    """What the near session has counted; None where the driver has forgotten it."""
    try:
        return wire.near.stats().rx_packets
    except (KernelError, ValueError):
        return None


def await_end(ask: Callable[[], object]) -> None:
    """Wait until the socket of something that has ended has nothing to tell, where that is so."""
    if what_ends_leaves_its_socket():
        until(lambda: is_gone(ask), "the end of a socket's statistics")
    else:
        assert not is_gone(ask)


def await_sight(words: str, expected: bool, what: str) -> None:
    """Wait until ``ip l2tp`` shows the words, or shows them no more: queues end what is closed."""
    until(lambda: (words in shown("l2tp", "show", what)) is expected, f"{words} {expected}")


def await_more(wire: Wire, closed: str) -> None:
    """Wait for more frames: the session works on."""
    before = received(wire) or 0
    until(lambda: (received(wire) or 0) > before, f"frames after the {closed} socket was closed")


def close_under_traffic(order, host, way):
    with Wire(host) as wire, way(wire) as send, traffic(wire, send):
        until(lambda: (wire.far.stats().rx_packets or 0) > 0, "packets of the near end")
        sockets = {
            "management": wire.left._management,
            "udp": wire.left_udp,
            "session": wire.near,
        }
        for name in order:
            sockets.pop(name).close()
            tunnel = "udp" in sockets
            session = tunnel and "session" in sockets
            await_sight("Tunnel 10,", tunnel, "tunnel")
            # Until 6.1 or later the management socket is listed as session 0.
            await_sight("Session 1 in tunnel 10", session, "session")
            if session:
                await_more(wire, name)
            elif "session" in sockets:
                await_end(wire.near.stats)
            else:
                assert received(wire) is None
        assert "Tunnel 20," in shown("l2tp", "show", "tunnel")


ORDERS = [
    pytest.param(order, id="-".join(order), marks=pytest.mark.long if number % 2 else ())
    for number, order in enumerate(permutations(SOCKETS))
]


@pytest.mark.parametrize("order", ORDERS)
def test_any_order_of_closing_under_traffic(order):
    in_private_netns(lambda: close_under_traffic(order, "127.0.0.1", frames))


@pytest.mark.long
@pytest.mark.parametrize("order", list(permutations(SOCKETS)), ids="-".join)
def test_any_order_of_closing_under_an_interfaces_traffic_over_ipv6(order):
    in_private_netns(lambda: close_under_traffic(order, "::1", interface))


def test_the_tunnel_outlives_its_management_socket_and_takes_new_sessions():
    """The seed asks for it to remain open; today's driver needs it only to be there once."""

    def test():
        with Wire() as wire:
            wire.left._management.close()
            near, far = wire.channel(wire.near), wire.channel(wire.far)
            near.send(lcp_echo(1))
            assert far.receive() == lcp_echo(1)
            session = wire.left.open_session(5, 6, wire.options)
            assert "Session 5 in tunnel 10" in shown("l2tp", "show", "session")
            session.close()

    in_private_netns(test)


def test_the_udp_socket_takes_tunnel_and_sessions_with_it():
    def test():
        with Wire() as wire:
            channel = wire.channel(wire.near)
            wire.left_udp.close()
            until(lambda: "Tunnel 10," not in shown("l2tp", "show", "tunnel"), "the tunnel's end")
            for ask in (wire.left.stats, wire.near.stats):
                await_end(ask)
            with suppress(OSError):
                channel.send(lcp_echo(1))
            with pytest.raises(KernelError):
                wire.left.open_session(5, 6, wire.options)

    in_private_netns(test)


def test_a_tunnel_deleted_by_netlink_leaves_its_udp_socket_ordinary():
    def test():
        with Wire() as wire:
            shown("l2tp", "del", "tunnel", "tunnel_id", "10")
            await_sight("Tunnel 10,", False, "tunnel")
            await_sight("Session 1 in tunnel 10", False, "session")
            await_end(wire.near.stats)
            wire.right_udp.send(b"hello")
            assert wire.left_udp.recv(100) == b"hello"
            await_end(wire.left.stats)

    in_private_netns(test)


def is_gone(ask) -> bool:
    try:
        ask()
    except KernelError:
        return True
    return False
