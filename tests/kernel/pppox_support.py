"""Network namespaces of their own for tests that open PPPoL2TP sockets."""

from __future__ import annotations

import os
import subprocess
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from l2tp.kernel import libc
from l2tp.kernel.ppp import Channel
from l2tp.kernel.pppox import PppoxSession, PppoxTunnel, SessionOptions
from l2tp.kernel.udp import open_udp_socket
from l2tp.protocol.parameters import Address
from probes.hooks import modules

CLONE_NEWNET = 0x4000_0000


def in_private_netns(test: Callable[[], None]) -> None:
    """Run ``test`` in a child with a network namespace that ends with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            libc.unshare(CLONE_NEWNET)
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            test()
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
            code = 1
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        complaint = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    if status:
        raise AssertionError(complaint or f"the child ended with status {status}")


class Wire:
    """Two tunnels that are each other's peers, over loopback, with one session each."""

    def __init__(self, host: str = "127.0.0.1", **options: object) -> None:
        self.ends = Address(host, 1701), Address(host, 1702)
        self.options = SessionOptions(**options)  # type: ignore[arg-type]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        one, two = self.ends
        self.left_udp = open_udp_socket(one, two)
        self.right_udp = open_udp_socket(two, one)
        for udp in (self.left_udp, self.right_udp):
            self._stack.callback(udp.close)
        self.left = PppoxTunnel(self.left_udp.fileno(), 10, 20, two)
        self._stack.callback(self.left.close)
        self.right = PppoxTunnel(self.right_udp.fileno(), 20, 10, one)
        self._stack.callback(self.right.close)
        self.near: PppoxSession = self.left.open_session(1, 2, self.options)
        self.far: PppoxSession = self.right.open_session(2, 1, self.options)
        return self

    def channel(self, session: PppoxSession) -> Channel:
        return self._stack.enter_context(Channel(session.channel()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


@cache
def what_ends_leaves_its_socket() -> bool:
    """Tell whether what ends in the driver leaves its PPPoL2TP socket, which then has nothing.

    So since Linux 6.12. Before, the socket keeps it until it is closed itself, and tells the last
    figures (l2tp_ppp.c: pppol2tp_session_close, pppol2tp_ioctl).
    """
    modules.load_driver()
    return "pppol2tp_session_close\t[l2tp_ppp]" in Path("/proc/kallsyms").read_text()


@cache
def hands_on_icmp_errors() -> bool:
    """Tell whether a tunnel's UDP socket hears of ICMP errors once the driver has it.

    Not with 6.1: __udp4_lib_err (udp.c) drops what an encapsulation without encap_err_rcv gets.
    """
    modules.load_driver()
    return "l2tp_udp_encap_err_recv\t[l2tp_core]" in Path("/proc/kallsyms").read_text()


def lcp_echo(number: int) -> bytes:
    """A frame that the kernel leaves to whoever reads the channel."""
    return b"\xc0\x21\x09" + bytes([number]) + b"\x00\x08abcd"


def shown(*words: str) -> str:
    """What ``ip`` says of this network namespace."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
