"""PPPoL2TP sockets of the real driver, each test in a network namespace of its own."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from l2tp.kernel.pppox import PppoxDataPlane, PppoxTunnel, SessionOptions
from l2tp.kernel.uapi import SocketOption
from l2tp.kernel.udp import open_udp_socket, read_network_errors
from l2tp.protocol.errors import KernelError
from l2tp.protocol.parameters import Address
from tests.kernel.daemon_support import until
from tests.kernel.pppox_support import (
    Wire,
    in_private_netns,
    lcp_echo,
    shown,
    what_ends_leaves_its_socket,
)

pytestmark = pytest.mark.kernel

HERE = Address("127.0.0.1", 1701)
THERE = Address("127.0.0.1", 1702)
KEPT = 32  # drivers/net/ppp/ppp_generic.c: PPP_MAX_RQLEN


def frames(channel) -> list[int]:
    numbers = []
    while (frame := channel.receive()) is not None:
        numbers.append(frame[3])
    return numbers


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_frames_cross_and_both_ends_count_them_alike(host):
    def test():
        with Wire(host) as wire:
            near, far = wire.channel(wire.near), wire.channel(wire.far)
            for number in range(5):
                near.send(lcp_echo(number))
            assert frames(far) == [0, 1, 2, 3, 4]
            sent, received = wire.near.stats(), wire.far.stats()
            assert (sent.tx_packets, received.rx_packets) == (5, 5)
            assert sent.tx_bytes == received.rx_bytes
            assert wire.left.stats() == sent
            assert received.rx_errors == received.rx_seq_discards == 0
            assert "Peer tunnel 20" in shown("l2tp", "show", "tunnel")

    in_private_netns(test)


def test_a_channel_asked_for_early_keeps_what_comes_before_its_reader():
    def test():
        with Wire() as wire:
            near = wire.channel(wire.near)
            wire.far.channel()
            for number in range(KEPT):
                near.send(lcp_echo(number))
            assert frames(wire.channel(wire.far)) == list(range(KEPT))

    in_private_netns(test)


def test_the_channels_queue_forgets_the_oldest():
    def test():
        with Wire() as wire:
            near = wire.channel(wire.near)
            wire.far.channel()
            for number in range(KEPT + 8):
                near.send(lcp_echo(number))
            assert frames(wire.channel(wire.far)) == list(range(8, KEPT + 8))
            assert wire.far.stats().rx_packets == KEPT + 8

    in_private_netns(test)


def test_frames_before_any_channel_never_disturb_those_after():
    """Some kernels hand the channel what waited on the socket, others leave it there unread.

    That is why a session asks for its channel at once (l2tp.ppp.sessions).
    """

    def test():
        with Wire() as wire:
            near = wire.channel(wire.near)
            near.send(lcp_echo(1))
            far = wire.channel(wire.far)
            near.send(lcp_echo(2))
            assert frames(far) in ([1, 2], [2])
            counted = wire.far.stats()
            assert (counted.rx_packets, counted.rx_errors) == (2, 0)

    in_private_netns(test)


def test_options_are_the_drivers():
    def test():
        with Wire(lns_mode=True, send_sequence=True, receive_sequence=True) as wire:
            assert wire.near.option(SocketOption.LNSMODE) == 1
            assert wire.near.option(SocketOption.SENDSEQ) == 1
            assert wire.near.option(SocketOption.RECVSEQ) == 1
            assert wire.near.option(SocketOption.REORDERTO) == 0

    in_private_netns(test)


def test_the_reorder_timeout_is_kept_in_jiffies():
    def test():
        with Wire(reorder_timeout_ms=20) as wire:
            assert 20 <= wire.near.option(SocketOption.REORDERTO) < 40

    in_private_netns(test)


@pytest.mark.rfc2661("5.4-lost")
def test_numbered_packets_where_numbers_are_required():
    def test():
        with Wire(send_sequence=True, receive_sequence=True, lns_mode=True) as wire:
            near, far = wire.channel(wire.near), wire.channel(wire.far)
            near.send(lcp_echo(1))
            assert frames(far) == [1]
            assert wire.far.stats().rx_seq_discards == 0

    in_private_netns(test)


def a_tcp_socket() -> socket.socket:
    server = socket.create_server(("127.0.0.1", 0))
    return socket.create_connection(server.getsockname())


def refused(call: Callable[[], object]) -> int:
    with pytest.raises(KernelError) as caught:
        call()
    assert caught.value.cure
    return caught.value.errno


def test_what_the_driver_refuses_of_a_tunnel():
    def test():
        with Wire() as wire:
            left = wire.left_udp.fileno()
            other = open_udp_socket(("127.0.0.1", 1709), THERE)
            tcp = a_tcp_socket()
            rows = [
                ("a second tunnel on the socket", left, 11, errno.EBUSY),
                ("an id that is taken", other.fileno(), 10, errno.EEXIST),
                ("id 0", other.fileno(), 0, errno.EINVAL),
                ("no descriptor", 999, 12, errno.EBADF),
                ("no socket", os.open("/dev/null", os.O_RDONLY), 12, errno.ENOTSOCK),
                ("no UDP socket", tcp.fileno(), 12, errno.EPROTONOSUPPORT),
            ]
            for what, fd, tunnel_id, expected in rows:
                got = refused(lambda fd=fd, one=tunnel_id: PppoxTunnel(fd, one, 5, THERE))
                assert got == expected, what

    in_private_netns(test)


def await_gone(what: str, name: str = "") -> None:
    """Wait until ``ip l2tp`` shows it no more: the driver removes in a work queue, ids last."""
    until(lambda: (name or "unnel") not in shown("l2tp", "show", what), f"the end of {what} {name}")


def test_what_the_driver_refuses_of_a_session():
    def test():
        with Wire() as wire:
            options = SessionOptions()
            assert refused(lambda: wire.left.open_session(1, 9, options)) == errno.EEXIST
            wire.left_udp.close()
            await_gone("tunnel", "Tunnel 10,")
            assert refused(lambda: wire.left.open_session(3, 9, options)) == errno.ENOENT

    in_private_netns(test)


def test_closing_in_order_leaves_nothing():
    def test():
        with Wire() as wire:
            wire.left.close_session(1)
            await_gone("session", "Session 1 in tunnel 10")
            wire.left.close()
            wire.left_udp.close()
            await_gone("tunnel", "Tunnel 10,")
            assert "Tunnel 20" in shown("l2tp", "show", "tunnel")
        await_gone("tunnel")
        assert "tunl" not in Path("/proc/net/pppol2tp").read_text()

    in_private_netns(test)


def test_closing_the_udp_socket_first_ends_the_tunnel_all_the_same():
    def test():
        with Wire() as wire:
            wire.left_udp.close()
            await_gone("tunnel", "Tunnel 10,")
            if what_ends_leaves_its_socket():
                assert refused(wire.near.stats) == errno.ENOTCONN

    in_private_netns(test)


def test_the_data_plane_closes_all():
    def test():
        udp = open_udp_socket(HERE, THERE)
        plane = PppoxDataPlane()
        plane.create_tunnel(udp.fileno(), 10, 20, THERE)
        plane.create_session(10, 1, 2, SessionOptions())
        assert plane.statistics(10, 1).rx_packets == 0
        assert refused(lambda: plane.create_tunnel(udp.fileno(), 10, 20, THERE)) == errno.EEXIST
        assert refused(lambda: plane.statistics(10, 7)) == errno.ENOENT
        assert refused(lambda: plane.create_session(11, 1, 2, SessionOptions())) == errno.ENOENT
        plane.close()
        plane.close()
        udp.close()
        await_gone("tunnel")

    in_private_netns(test)


def test_a_connected_socket_wins_over_the_listener_for_its_peer_alone():
    def test():
        listener = open_udp_socket(HERE)
        tunnel = open_udp_socket(HERE, THERE)
        peer = open_udp_socket(THERE)
        stranger = open_udp_socket(("127.0.0.1", 1703))
        peer.sendto(b"mine", HERE)
        stranger.sendto(b"other", HERE)
        assert tunnel.recvfrom(100) == (b"mine", THERE)
        assert listener.recvfrom(100) == (b"other", ("127.0.0.1", 1703))
        for udp in (tunnel, listener):
            with pytest.raises(BlockingIOError):
                udp.recv(100)

    in_private_netns(test)


def test_a_stranger_can_slip_in_between_bind_and_connect():
    """Why whoever reads a tunnel's socket looks at the source (l2tp.daemon.sockets)."""

    def test():
        open_udp_socket(HERE)
        tunnel = open_udp_socket(HERE)
        stranger = open_udp_socket(("127.0.0.1", 1703))
        stranger.sendto(b"other", HERE)
        tunnel.connect(THERE)
        assert tunnel.recvfrom(100) == (b"other", ("127.0.0.1", 1703))

    in_private_netns(test)


def test_an_unconnected_socket_hears_that_nobody_listens():
    def test():
        udp = open_udp_socket(HERE)
        udp.sendto(b"anybody?", THERE)
        with pytest.raises(ConnectionRefusedError):
            udp.recvfrom(100)
        (report,) = read_network_errors(udp)
        assert (report.destination, report.errno) == (THERE, errno.ECONNREFUSED)
        assert report.text == "Connection refused, reported by 127.0.0.1"

    in_private_netns(test)
