"""The driver's socket options: what can be set and read, on which socket, and what is refused."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from l2tp.kernel.uapi import SOL_PPPOL2TP, DebugMask, SocketOption
from tests.kernel.pppox_support import Wire, in_private_netns
from tests.kernel.raw_sockets import errno_of, pppox

pytestmark = pytest.mark.kernel

FLAGS = (SocketOption.RECVSEQ, SocketOption.SENDSEQ, SocketOption.LNSMODE)
UNKNOWN = (0, 6, 99)


def settings(sock: socket.socket) -> dict[int, int]:
    return {option: sock.getsockopt(SOL_PPPOL2TP, option) for option in SocketOption}


def test_what_a_session_begins_with():
    def test():
        with Wire() as wire:
            assert set(settings(wire.near._socket).values()) == {0}

    in_private_netns(test)


def test_each_flag_takes_0_and_1_and_keeps_its_value_when_it_refuses():
    def test():
        with Wire() as wire:
            session = wire.near._socket
            for option in FLAGS:
                for value in (1, 0, 1):
                    session.setsockopt(SOL_PPPOL2TP, option, value)
                    assert session.getsockopt(SOL_PPPOL2TP, option) == value
                for value in (-1, 2, 255, 1 << 30):
                    refused = errno_of(session.setsockopt, SOL_PPPOL2TP, option, value)
                    assert refused == "EINVAL", (option, value)
                assert session.getsockopt(SOL_PPPOL2TP, option) == 1
            line = next(li for li in proc_lines() if "/R/S/LNS" in li)
            assert line.startswith("0/0/R/S/LNS")

    in_private_netns(test)


def proc_lines() -> list[str]:
    return [line.strip() for line in Path("/proc/self/net/pppol2tp").read_text().splitlines()]


def test_the_reorder_timeout_takes_milliseconds_and_keeps_jiffies():
    """Set 5 and read 8 where a jiffy has 4 ms: a wait is never shorter than asked for."""

    def test():
        with Wire() as wire:
            session = wire.near._socket
            for value in (0, 1, 5, 20, 1000):
                session.setsockopt(SOL_PPPOL2TP, SocketOption.REORDERTO, value)
                kept = session.getsockopt(SOL_PPPOL2TP, SocketOption.REORDERTO)
                assert value <= kept < value + 11, value

    in_private_netns(test)


def test_a_negative_reorder_timeout_is_not_refused():
    """It reads back as a negative number; test_sequencing.py shows what it does."""

    def test():
        with Wire() as wire:
            session = wire.near._socket
            session.setsockopt(SOL_PPPOL2TP, SocketOption.REORDERTO, -1)
            assert session.getsockopt(SOL_PPPOL2TP, SocketOption.REORDERTO) < 0

    in_private_netns(test)


def test_only_debug_is_for_the_management_socket():
    def test():
        with Wire() as wire:
            management = wire.left._management
            assert management.getsockopt(SOL_PPPOL2TP, SocketOption.DEBUG) == 0
            management.setsockopt(SOL_PPPOL2TP, SocketOption.DEBUG, DebugMask.SEQ)
            for option in (*FLAGS, SocketOption.REORDERTO):
                assert errno_of(management.getsockopt, SOL_PPPOL2TP, option) == "ENOPROTOOPT"
                assert errno_of(management.setsockopt, SOL_PPPOL2TP, option, 1) == "ENOPROTOOPT"

    in_private_netns(test)


def test_the_debug_mask_is_taken_and_forgotten():
    """Since Linux 5.10, which turned the driver's messages into tracepoints."""

    def test():
        with Wire() as wire:
            everything = DebugMask.DEBUG | DebugMask.CONTROL | DebugMask.SEQ | DebugMask.DATA
            for sock in (wire.left._management, wire.near._socket):
                sock.setsockopt(SOL_PPPOL2TP, SocketOption.DEBUG, everything)
                assert sock.getsockopt(SOL_PPPOL2TP, SocketOption.DEBUG) == 0
            assert "0000000f" not in "\n".join(proc_lines())

    in_private_netns(test)


def test_what_is_no_option_or_no_int_is_refused():
    def test():
        with Wire() as wire:
            for sock in (wire.left._management, wire.near._socket):
                for option in UNKNOWN:
                    assert errno_of(sock.getsockopt, SOL_PPPOL2TP, option) == "ENOPROTOOPT"
                    assert errno_of(sock.setsockopt, SOL_PPPOL2TP, option, 1) == "ENOPROTOOPT"
                assert errno_of(sock.setsockopt, SOL_PPPOL2TP, 2, b"\1\0\0") == "EINVAL"
                assert errno_of(sock.getsockopt, socket.IPPROTO_IP, 2) == "EINVAL"

    in_private_netns(test)


def test_a_socket_that_is_connected_to_nothing_has_no_options():
    def test():
        with pppox() as sock:
            for option in SocketOption:
                assert errno_of(sock.getsockopt, SOL_PPPOL2TP, option) == "ENOTCONN"
                assert errno_of(sock.setsockopt, SOL_PPPOL2TP, option, 1) == "ENOTCONN"

    in_private_netns(test)
