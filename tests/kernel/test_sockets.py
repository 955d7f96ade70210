"""What the driver makes of PPPoL2TP sockets: their order, their ids, their addresses."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from l2tp.kernel import libc
from l2tp.kernel.errors import refusal
from l2tp.kernel.ppp import Channel
from l2tp.kernel.pppox import PppoxSession, SessionOptions
from l2tp.kernel.udp import open_udp_socket
from l2tp.protocol.errors import KernelError
from l2tp.protocol.parameters import Address
from tests.kernel.daemon_support import until
from tests.kernel.driver_states import make_session_without_socket
from tests.kernel.pppox_support import Wire, in_private_netns, lcp_echo, shown
from tests.kernel.probe_support import data_message
from tests.kernel.raw_sockets import (
    HERE,
    MANAGEMENT,
    SESSION,
    THERE,
    address,
    attach,
    errno_of,
    pppox,
    udp,
)
from tests.kernel.watching import capture

pytestmark = pytest.mark.kernel

IPPROTO_L2TP = 115  # linux/in.h


def test_the_management_socket_comes_before_a_session_socket():
    def test():
        with udp() as tunnel, pppox() as session:
            assert errno_of(attach, tunnel.fileno(), SESSION, on=session) == "ENOENT"
            assert shown("l2tp", "show", "tunnel") == ""
            with attach(tunnel.fileno(), MANAGEMENT):
                attach(tunnel.fileno(), SESSION, on=session)
                assert "Session 1 in tunnel 10" in shown("l2tp", "show", "session")
            session.close()

    in_private_netns(test)


def test_the_management_socket_makes_the_udp_socket_the_drivers():
    """Data goes to the driver from then on, control and what is nobody's to the UDP socket."""

    def test():
        with Wire() as wire:
            far = wire.channel(wire.far)
            wire.left_udp.send(data_message(20, 2, lcp_echo(1)))
            assert far.receive() == lcp_echo(1)
            with pytest.raises(BlockingIOError):
                wire.right_udp.recv(100)
            for message in (
                b"\xc8\x02\x00\x0c\x00\x14" + bytes(6),  # a control message
                data_message(20, 77, lcp_echo(2)),  # data of a session that is not there
                b"something else altogether",
            ):
                wire.left_udp.send(message)
                assert wire.right_udp.recv(100) == message
            assert wire.far.stats().rx_packets == 1

    in_private_netns(test)


def test_no_sessions_frame_comes_out_of_the_management_socket():
    """What does is the data of session 0, which no peer sends: the driver takes it for one."""

    def test():
        with Wire() as wire, capture() as wires:
            management = wire.left._management
            management.setblocking(False)
            near = wire.channel(wire.near)
            wire.right_udp.send(data_message(10, 1, lcp_echo(1)))
            assert near.receive() == lcp_echo(1)
            assert errno_of(management.recv, 100) == "EAGAIN"
            wire.right_udp.send(data_message(10, 0, lcp_echo(2)))
            assert management.recv(100) == lcp_echo(2)
            wires.sent()
            management.send(lcp_echo(3))
            assert [(one.tunnel_id, one.session_id) for one in wires.headers()] == [(20, 0)]

    in_private_netns(test)


# What connect() refuses, who asks: (operation, ids, errno). The kernel functions are
# pppol2tp_connect, pppol2tp_tunnel_get, l2tp_tunnel_register, l2tp_validate_socket and
# l2tp_session_register; docs/seed.md says which refusals no order of calls reaches.
FRESH, TAKEN = "a UDP socket of its own", "the tunnel's UDP socket"
REFUSALS = [
    ("open tunnel", "a descriptor below 0", FRESH, (11, 21, 0, 0), -1, "EBADF"),
    ("open tunnel", "a descriptor that is not open", FRESH, (11, 21, 0, 0), 999, "EBADF"),
    ("open tunnel", "tunnel id 0", FRESH, (0, 21, 0, 0), None, "EINVAL"),
    ("open tunnel", "a second tunnel", TAKEN, (11, 21, 0, 0), None, "EBUSY"),
    ("open tunnel", "a second management socket", TAKEN, MANAGEMENT, None, "EEXIST"),
    ("open tunnel", "the id of another tunnel", FRESH, MANAGEMENT, None, "EEXIST"),
    ("open session", "a tunnel that is not there", TAKEN, (11, 21, 1, 2), None, "ENOENT"),
    ("open session", "tunnel id 0", TAKEN, (0, 20, 1, 2), None, "EINVAL"),
    ("open session", "a session id that is taken", TAKEN, (10, 20, 1, 9), None, "EEXIST"),
    ("open session", "session id 0 with a peer's", TAKEN, (10, 20, 0, 9), None, "EEXIST"),
]


def test_each_refusal_of_ids_and_descriptors():
    def test():
        with ExitStack() as stack:
            taken = stack.enter_context(udp())
            fresh = stack.enter_context(udp(1709))
            stack.enter_context(attach(taken.fileno(), MANAGEMENT))
            stack.enter_context(attach(taken.fileno(), SESSION))
            for operation, what, whose, ids, fd, expected in REFUSALS:
                asked = fd if fd is not None else (fresh if whose == FRESH else taken).fileno()
                got = errno_of(attach, asked, ids)
                assert got == expected, f"{operation}: {what}"
                cure = refusal(operation, OSError(getattr(errno, got), "")).cure
                assert cure and "dmesg" not in cure, f"{operation}: {what}"

    in_private_netns(test)


def test_each_refusal_of_what_is_no_udp_socket():
    def test():
        with ExitStack() as stack:
            kinds = [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "EPROTONOSUPPORT"),
                (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP, "EPROTONOSUPPORT"),
                (socket.AF_UNIX, socket.SOCK_DGRAM, 0, "EPROTONOSUPPORT"),
                (socket.AF_INET, socket.SOCK_DGRAM, IPPROTO_L2TP, "EPROTONOSUPPORT"),
            ]
            for family, kind, protocol, expected in kinds:
                sock = stack.enter_context(socket.socket(family, kind, protocol))
                assert errno_of(attach, sock.fileno(), MANAGEMENT) == expected, kind
            null = os.open("/dev/null", os.O_RDONLY)
            assert errno_of(attach, null, MANAGEMENT) == "ENOTSOCK"
            os.close(null)
            assert shown("l2tp", "show", "tunnel") == ""

    in_private_netns(test)


def test_a_session_in_a_tunnel_of_another_namespace_is_refused():
    def test():
        with udp() as tunnel, attach(tunnel.fileno(), MANAGEMENT):
            libc.unshare(0x4000_0000)  # CLONE_NEWNET: the session's socket is born elsewhere
            assert errno_of(attach, tunnel.fileno(), SESSION) == "ENOENT"

    in_private_netns(test)


def test_a_socket_attaches_to_a_session_that_netlink_made_and_no_second_one():
    def test():
        with udp() as tunnel, attach(tunnel.fileno(), MANAGEMENT):
            make_session_without_socket(10, 1, 2)
            session = PppoxSession(attach(tunnel.fileno(), SESSION), 1)
            assert errno_of(attach, tunnel.fileno(), SESSION) == "EEXIST"
            session.configure(SessionOptions())
            with Channel(session.channel()) as channel:
                channel.send(lcp_echo(1))
            assert session.stats().tx_packets == 1
            session.close()

    in_private_netns(test)


def test_a_session_id_is_unique_in_its_tunnel_and_free_in_another():
    def test():
        with ExitStack() as stack:
            one, two = stack.enter_context(udp()), stack.enter_context(udp(1709))
            stack.enter_context(attach(one.fileno(), MANAGEMENT))
            stack.enter_context(attach(two.fileno(), (11, 21, 0, 0)))
            stack.enter_context(attach(one.fileno(), SESSION))
            assert errno_of(attach, one.fileno(), SESSION) == "EEXIST"
            stack.enter_context(attach(two.fileno(), (11, 21, 1, 2)))
            said = shown("l2tp", "show", "session")
            assert "Session 1 in tunnel 10" in said and "Session 1 in tunnel 11" in said

    in_private_netns(test)


def test_a_socket_that_is_connected_stays_so():
    def test():
        with udp() as tunnel, attach(tunnel.fileno(), MANAGEMENT) as management:
            fd = tunnel.fileno()
            assert errno_of(attach, fd, MANAGEMENT, on=management) == "EBUSY"
            with attach(fd, SESSION) as session:
                assert errno_of(attach, fd, (10, 20, 3, 4), on=session) == "EBUSY"

    in_private_netns(test)


def test_a_udp_socket_of_another_namespace_is_refused():
    def test():
        with udp() as tunnel:
            libc.unshare(0x4000_0000)  # CLONE_NEWNET: the PPPoL2TP socket is born elsewhere
            assert errno_of(attach, tunnel.fileno(), MANAGEMENT) == "EINVAL"

    in_private_netns(test)


def test_a_session_that_carries_no_ppp_is_refused():
    def test():
        with udp() as tunnel, attach(tunnel.fileno(), MANAGEMENT, version=3):
            ids = ("tunnel_id", "10", "session_id", "7", "peer_session_id", "8")
            subprocess.run(["ip", "l2tp", "add", "session", *ids], check=True)
            refused = errno_of(attach, tunnel.fileno(), (10, 20, 7, 8), version=3)
            assert refused == "EPROTOTYPE"
            subprocess.run(["ip", "l2tp", "del", "session", *ids[:4]], check=True)

    in_private_netns(test)


def test_an_address_that_cannot_be_read_is_refused():
    def test():
        with pppox() as sock:
            assert libc._libc.connect(sock.fileno(), ctypes.c_void_p(8), 38) == -1
            assert ctypes.get_errno() == errno.EFAULT

    in_private_netns(test)


def test_id_0_of_the_peer_is_taken_and_a_session_mends_it():
    """As in the seed's own example, whose management socket names no tunnel id of the peer."""

    def test():
        with udp() as tunnel, attach(tunnel.fileno(), (10, 0, 0, 0)):
            assert "Peer tunnel 0\n" in shown("l2tp", "show", "tunnel")
            with attach(tunnel.fileno(), SESSION):
                assert "Peer tunnel 20\n" in shown("l2tp", "show", "tunnel")
            with attach(tunnel.fileno(), (10, 99, 5, 0)):
                assert "Peer tunnel 20\n" in shown("l2tp", "show", "tunnel")
                assert "Peer session 0, tunnel 20" in shown("l2tp", "show", "session")

    in_private_netns(test)


def test_a_session_takes_its_tunnel_by_id_and_not_by_descriptor():
    def test():
        with udp() as tunnel, attach(tunnel.fileno(), MANAGEMENT), attach(999, SESSION):
            assert "Session 1 in tunnel 10" in shown("l2tp", "show", "session")

    in_private_netns(test)


FORMS = [
    (2, THERE, 38, "tunnel 20"),
    (3, THERE, 46, "tunnel 20"),
    (2, Address("::1", 1702), 50, "tunnel 20"),
    (3, Address("::1", 1702), 58, "tunnel 20"),
]


@pytest.mark.parametrize(("version", "peer", "length", "said"), FORMS)
def test_a_form_of_address_is_known_by_its_length(version, peer, length, said):
    def test():
        with udp() as tunnel, pppox() as management:
            right = address(tunnel.fileno(), MANAGEMENT, peer=peer, version=version)
            assert len(right) == length
            for wrong in (right[:-1], right + b"\0", right[:2] + b"\2" + right[3:]):
                assert errno_of(libc.connect, management.fileno(), wrong) == "EINVAL"
            libc.connect(management.fileno(), right)
            assert f"Peer {said}" in shown("l2tp", "show", "tunnel")
            # /proc lists tunnels of version 2 only.
            listed = "tunl 10" in Path("/proc/self/net/pppol2tp").read_text()
            assert listed == (version == 2)
            management.close()

    in_private_netns(test)


NAMES = [(2, "127.0.0.1", 38), (3, "127.0.0.1", 46), (2, "::1", 50), (3, "::1", 58)]
"""Version, transport, and the size of the form that getsockname() and getpeername() give back."""


@pytest.mark.parametrize(("version", "host", "length"), NAMES)
def test_each_form_carries_frames_and_is_given_back(version, host, length):
    """l2tp_ppp.c: pppol2tp_getname, which tells this end and the other one alike."""

    def test():
        here, there = Address(host, 1701), Address(host, 1702)
        with ExitStack() as stack:
            tunnel = stack.enter_context(open_udp_socket(here, there))
            peer = stack.enter_context(open_udp_socket(there, here))
            for ids in (MANAGEMENT, SESSION):
                sock = stack.enter_context(
                    attach(tunnel.fileno(), ids, peer=there, version=version)
                )
                given = address(tunnel.fileno(), ids, peer=there, version=version)
                wanted = given[:6] + struct.pack("=i", os.getpid()) + given[10:]
                assert (names_of(sock), len(given)) == ([wanted, wanted], length)
            session = PppoxSession(sock, SESSION[2])
            session.configure(SessionOptions())
            channel = stack.enter_context(Channel(session.channel()))
            channel.send(lcp_echo(1))
            header = b"\0\2\0\x14\0\2" if version == 2 else b"\0\3\0\0\0\0\0\2"
            assert peer.recv(100) == header + b"\xff\x03" + lcp_echo(1)

    in_private_netns(test)


def names_of(sock):
    """What getsockname() and getpeername() write; Python's own know nothing of this family."""
    found = []
    for call in (libc._libc.getsockname, libc._libc.getpeername):
        room, length = ctypes.create_string_buffer(128), ctypes.c_int(128)
        assert call(sock.fileno(), room, ctypes.byref(length)) == 0
        found.append(room.raw[: length.value])
    return found


def test_a_socket_that_is_connected_to_nothing_has_no_name():
    with pppox() as sock:
        room, length = ctypes.create_string_buffer(128), ctypes.c_int(128)
        assert libc._libc.getsockname(sock.fileno(), room, ctypes.byref(length)) == -1
        assert ctypes.get_errno() == errno.ENOTCONN


def test_the_address_family_in_the_address_is_not_looked_at():
    def test():
        with udp() as tunnel, pppox() as management:
            odd = b"\x02\x00" + address(tunnel.fileno(), MANAGEMENT)[2:]
            libc.connect(management.fileno(), odd)
            assert "Tunnel 10" in shown("l2tp", "show", "tunnel")
            management.close()

    in_private_netns(test)


def test_the_address_of_the_peer_is_that_of_the_udp_socket():
    def test():
        elsewhere = Address("198.51.100.7", 99)
        with udp() as tunnel, attach(tunnel.fileno(), MANAGEMENT, peer=elsewhere):
            assert "source / dest ports: 1701/1702" in shown("l2tp", "show", "tunnel")

    in_private_netns(test)


def test_a_udp_socket_neither_bound_nor_connected_is_taken_and_sends_nothing():
    def test():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tunnel, ExitStack() as stack:
            stack.enter_context(attach(tunnel.fileno(), MANAGEMENT))
            session = PppoxSession(attach(tunnel.fileno(), SESSION), 1)
            stack.callback(session.close)
            session.configure(SessionOptions())
            channel = stack.enter_context(Channel(session.channel()))
            channel.send(lcp_echo(1))
            assert (session.stats().tx_packets, session.stats().tx_errors) == (0, 1)
            tunnel.bind(HERE)
            channel.send(lcp_echo(2))
            assert (session.stats().tx_packets, session.stats().tx_errors) == (0, 2)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.bind(THERE)
                peer.sendto(data_message(10, 1, lcp_echo(3)), HERE)
                assert channel.receive() == lcp_echo(3)  # to receive, bound is enough
                tunnel.connect(THERE)
                channel.send(lcp_echo(4))
                assert peer.recv(100).endswith(lcp_echo(4))
            assert (session.stats().tx_packets, session.stats().tx_errors) == (1, 2)

    in_private_netns(test)


def test_a_new_management_socket_can_follow_one_that_was_closed():
    def test():
        with udp() as tunnel, ExitStack() as stack:
            attach(tunnel.fileno(), MANAGEMENT).close()

            def follows() -> bool:
                with suppress(FileExistsError):  # a work queue lets the closed one go
                    stack.enter_context(attach(tunnel.fileno(), MANAGEMENT))
                    return True
                return False

            until(follows, "the driver's letting go of the socket that was closed")
            assert shown("l2tp", "show", "tunnel").count("Tunnel 10,") == 1

    in_private_netns(test)


def test_what_l2tp_kernel_says_of_a_refusal_is_the_kernels_own_errno():
    def test():
        with Wire() as wire, pytest.raises(KernelError) as caught:
            wire.left.open_session(1, 2, SessionOptions())
        assert caught.value.errno == errno.EEXIST
        assert "ip l2tp show session" in caught.value.cure

    in_private_netns(test)
