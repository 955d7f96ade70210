"""The driver's ioctls: statistics of tunnel and session, and PPP's own ones."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from pathlib import Path

import pytest

from l2tp.dataplane import DataPlaneStatistics
from l2tp.kernel import uapi
from l2tp.kernel.errors import refusal
from l2tp.kernel.ppp import Channel, Unit
from tests.kernel.pppox_support import Wire, in_private_netns, lcp_echo
from tests.kernel.raw_sockets import errno_of, pppox

pytestmark = pytest.mark.kernel

_INT = struct.Struct("=i")
STUBS = (uapi.PPPIOCGMRU, uapi.PPPIOCGFLAGS, uapi.PPPIOCSMRU, uapi.PPPIOCSFLAGS)
SC_CCP_OPEN = 0x40  # linux/ppp-ioctl.h: one of the flags that a unit lets its owner set
IP_XFRM_POLICY = 17  # linux/in.h
# struct xfrm_userpolicy_info of linux/xfrm.h: an IPv4 selector for everything, lifetimes, priority
# and index; then direction (1: out), action (0: allow), flags and share.
ALLOWING_POLICY = struct.pack("=40x H 14x 64x 32x II BBBB 4x", socket.AF_INET, 0, 0, 1, 0, 0, 0)
ELSEWHERE = (uapi.PPPIOCGUNIT, uapi.PPPIOCGDEBUG, uapi.PPPIOCSDEBUG, uapi.PPPIOCNEWUNIT)


def ask(file, request: int, value: int = 0) -> int:
    return int(_INT.unpack(fcntl.ioctl(file, request, _INT.pack(value)))[0])


def statistics(sock: socket.socket, session_id: int = 0) -> tuple[int, int, DataPlaneStatistics]:
    """Tunnel id, session id, counters; ``session_id`` asks a tunnel for one of its sessions."""
    asked = uapi.PPPOL2TP_IOC_STATS.pack(0, session_id, *[0] * 9)
    answer = fcntl.ioctl(sock, uapi.PPPIOCGL2TPSTATS, asked)
    return *struct.unpack_from("=HH", answer), uapi.unpack_stats(answer)


def test_statistics_of_the_tunnel_and_of_each_session():
    def test():
        with Wire() as wire:
            management, session = wire.left._management, wire.near._socket
            second = wire.left.open_session(3, 4, wire.options)
            wire.channel(wire.near).send(lcp_echo(1))
            wire.channel(second).send(lcp_echo(2))
            _, _, one = statistics(session)
            assert statistics(session)[:2] == (10, 1)
            assert statistics(second._socket)[:2] == (10, 3)
            tunnel_id, session_id, whole = statistics(management)
            assert (tunnel_id, session_id) == (10, 0)
            assert (one.tx_packets, whole.tx_packets) == (1, 2)
            assert whole.tx_bytes == 2 * one.tx_bytes
            # The tunnel's socket answers for its sessions too, and for no other.
            assert statistics(management, 1) == (10, 1, one)
            assert errno_of(statistics, management, 77) == "EBADR"
            assert "ip l2tp show session" in str(
                refusal("read statistics", OSError(errno.EBADR, ""), "77")
            )

    in_private_netns(test)


def uses_ipsec(sock: socket.socket) -> int:
    """The bit of struct pppol2tp_ioc_stats that stands behind the ids."""
    answer = fcntl.ioctl(sock, uapi.PPPIOCGL2TPSTATS, bytes(uapi.PPPOL2TP_IOC_STATS.size))
    return int(uapi.PPPOL2TP_IOC_STATS.unpack(answer)[2]) & 1


def test_statistics_say_whether_the_tunnels_socket_has_an_ipsec_policy():
    def test():
        # Loads xfrm_user, which reads the policy.
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_XFRM), Wire() as wire:
            ends = wire.left._management, wire.near._socket
            assert [uses_ipsec(end) for end in ends] == [0, 0]
            wire.left_udp.setsockopt(socket.IPPROTO_IP, IP_XFRM_POLICY, ALLOWING_POLICY)
            assert [uses_ipsec(end) for end in ends] == [1, 1]
            assert uses_ipsec(wire.far._socket) == 0

    in_private_netns(test)


def test_statistics_agree_with_proc():
    def test():
        with Wire() as wire:
            wire.channel(wire.near).send(lcp_echo(1))
            _, _, one = statistics(wire.near._socket)
            lines = Path("/proc/self/net/pppol2tp").read_text().splitlines()
            at = next(i for i, line in enumerate(lines) if "SESSION 'sess 10/1'" in line)
            counted = f"0/0 {one.tx_packets}/{one.tx_bytes}/0 0/0/0"
            assert lines[at + 2].strip() == counted

    in_private_netns(test)


def test_the_channel_is_the_sessions_and_a_tunnel_has_none():
    def test():
        with Wire() as wire:
            number = ask(wire.near._socket, uapi.PPPIOCGCHAN)
            assert number >= 0
            assert ask(wire.near._socket, uapi.PPPIOCGCHAN) == number
            assert ask(wire.far._socket, uapi.PPPIOCGCHAN) != number
            # pppox_ioctl does not tell a management socket apart: it has the number of nothing.
            assert ask(wire.left._management, uapi.PPPIOCGCHAN) == -1
            with pppox() as nothing:
                assert errno_of(ask, nothing, uapi.PPPIOCGCHAN) == "ENOTCONN"

    in_private_netns(test)


def test_mru_and_flags_are_stubs_on_a_session_and_undefined_on_a_tunnel():
    def test():
        with Wire() as wire, pppox() as nothing:
            session = wire.near._socket
            ask(session, uapi.PPPIOCSMRU, 1400)
            ask(session, uapi.PPPIOCSFLAGS, -1)
            assert ask(session, uapi.PPPIOCGMRU, 7) == 0
            assert ask(session, uapi.PPPIOCGFLAGS, 7) == 0
            for request in STUBS:
                assert errno_of(ask, wire.left._management, request) == "ENOSYS"
                assert errno_of(ask, nothing, request) == "ENOTCONN"

    in_private_netns(test)


def test_unit_and_debug_are_not_the_sockets_but_the_units():
    def test():
        with Wire() as wire, Unit() as unit:
            for request in ELSEWHERE:
                assert errno_of(ask, wire.near._socket, request) == "ENOTTY"
                assert errno_of(ask, wire.left._management, request) == "ENOTTY"
            channel = Channel(wire.near.channel())
            assert errno_of(ask, channel.fileno(), uapi.PPPIOCGUNIT) == "ENOTTY"
            channel.connect(unit.number)
            assert ask(unit.fileno(), uapi.PPPIOCGUNIT) == unit.number
            ask(unit.fileno(), uapi.PPPIOCSDEBUG, 3)
            assert ask(unit.fileno(), uapi.PPPIOCGDEBUG) == 3
            before = ask(unit.fileno(), uapi.PPPIOCGFLAGS)
            ask(unit.fileno(), uapi.PPPIOCSFLAGS, before | SC_CCP_OPEN)
            assert ask(unit.fileno(), uapi.PPPIOCGFLAGS) == before | SC_CCP_OPEN
            ask(unit.fileno(), uapi.PPPIOCSMRU, 1400)
            assert f"interface ppp{unit.number}" in Path("/proc/self/net/pppol2tp").read_text()
            channel.close()

    in_private_netns(test)
