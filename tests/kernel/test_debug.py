"""Debug messages of one tunnel or session: only its own, only what is on, and gone at the end."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from l2tp.kernel import libc
from probes.debugging.debugger import Debugger
from probes.debugging.messages import Message
from probes.debugging.spec import MESSAGES_A_SECOND, Category
from probes.hooks import modules
from tests.kernel.daemon_support import until
from tests.kernel.pppox_support import Wire, in_private_netns, lcp_echo
from tests.kernel.probe_support import data_message

pytestmark = pytest.mark.kernel

EVERYTHING = Category.CONTROL | Category.SEQ | Category.DATA
NOBODY = (1, 1, 0)
SYS_BPF = 321  # arch/x86/entry/syscalls/syscall_64.tbl
BPF_PROG_GET_NEXT_ID = 11


@pytest.fixture(scope="module")
def debugger() -> Iterator[Debugger]:
    modules.load_driver()
    debugger = Debugger()
    # Attached here, so that the tests, which are children of this process, need not do it again.
    debugger.switch(*NOBODY, Category.CONTROL, on=True)
    yield debugger
    debugger.close()


def this_netns() -> int:
    return Path("/proc/self/ns/net").stat().st_ino


@contextmanager
def on(debugger: Debugger, tunnel_id: int, session_id: int, categories: Category) -> Iterator[None]:
    """Messages of this namespace, off again at the end: its number is the next test's too."""
    debugger.messages()
    debugger.switch(this_netns(), tunnel_id, session_id, categories, on=True)
    try:
        yield
    finally:
        debugger.switch(this_netns(), tunnel_id, session_id, EVERYTHING, on=False)


def said(debugger: Debugger) -> list[Message]:
    here = this_netns()
    return [message for message in debugger.messages() if message["netns"] == here]


def number(wire: Wire, *numbers: int) -> None:
    for ns in numbers:
        wire.right_udp.send(data_message(10, 1, lcp_echo(ns), ns))


@pytest.mark.long
def test_all_of_it_can_be_said_here(debugger):
    assert debugger.missing() == []


@pytest.mark.long
def test_only_the_tunnel_that_was_asked_for_speaks(debugger):
    def test():
        with Wire() as wire:
            near, far = wire.channel(wire.near), wire.channel(wire.far)
            with on(debugger, 10, 0, Category.DATA):
                near.send(lcp_echo(1))  # is sent by tunnel 10 and received by tunnel 20
                far.send(lcp_echo(2))
                told = [(m["tunnel_id"], m["session_id"], m["event"]) for m in said(debugger)]
            assert told == [(10, 1, "l2tp_xmit_skb"), (10, 1, "l2tp_recv_common")]

    in_private_netns(test)


def test_only_the_session_that_was_asked_for_speaks(debugger):
    def test():
        with Wire() as wire:
            second = wire.left.open_session(3, 4, wire.options)
            channels = wire.channel(wire.near), wire.channel(second)
            with on(debugger, 10, 3, Category.DATA):
                for channel in channels:
                    channel.send(lcp_echo(1))
                assert [(m["session_id"], m["category"]) for m in said(debugger)] == [(3, "data")]

    in_private_netns(test)


@pytest.mark.long
def test_sequence_numbers_are_told_with_what_was_dropped(debugger):
    def test():
        with Wire() as wire:
            wire.channel(wire.near)
            with on(debugger, 10, 1, Category.SEQ):
                number(wire, 0, 1, 3)
                messages = said(debugger)
                assert {message["category"] for message in messages} == {"seq"}
                assert messages[-1]["text"] == "drops frame 3: out of sequence, Nr is 2"
                debugger.switch(this_netns(), 10, 1, Category.SEQ, on=False)
                number(wire, 2)
                assert said(debugger) == []

    in_private_netns(test)


@pytest.mark.long
def test_sessions_that_come_and_go_are_told(debugger):
    def test():
        with Wire() as wire, on(debugger, 10, 0, Category.CONTROL):
            wire.left.open_session(3, 4, wire.options)
            wire.left.close_session(3)
            events: list[str] = []

            def freed() -> bool:
                events.extend(m["event"] for m in said(debugger) if m["session_id"] == 3)
                return "free_session" in events

            until(freed, "the end of the session")
            assert events == ["register_session", "delete_session", "free_session"]

    in_private_netns(test)


@pytest.mark.long
def test_what_is_too_much_is_left_out_and_counted(debugger):
    def test():
        with Wire() as wire, on(debugger, 10, 1, Category.DATA):
            near = wire.channel(wire.near)
            sent = 0
            mine = {"left_out": 0}
            until_s = time.monotonic() + 2.5
            while time.monotonic() < until_s or (not mine["left_out"] and sent < 20_000):
                for _ in range(500):
                    near.send(lcp_echo(1))
                sent += 500
                (mine,) = [f for f in debugger.filters() if f["netns"] == this_netns()]
            assert mine["left_out"] > 0
            messages = said(debugger)
            assert len(messages) + mine["left_out"] + mine["lost"] == sent
            # Each second that is counted begins with its first message.
            whole_seconds = (messages[-1]["time_ns"] - messages[0]["time_ns"]) // 1_000_000_000
            assert len(messages) <= MESSAGES_A_SECOND * (whole_seconds + 1)
            # Off and on again, it begins anew.
            debugger.switch(this_netns(), 10, 1, EVERYTHING, on=False)
            debugger.switch(this_netns(), 10, 1, Category.DATA, on=True)
            (mine,) = [f for f in debugger.filters() if f["netns"] == this_netns()]
            assert (mine["left_out"], mine["lost"]) == (0, 0)
            near.send(lcp_echo(1))
            assert len(said(debugger)) == 1

    in_private_netns(test)


HOLDER = """
import sys
from probes.debugging.spec import Category
from probes.debugging.debugger import Debugger
debugger = Debugger()
debugger.switch(1, 1, 0, Category.DATA, on=True)
print("on", flush=True)
sys.stdin.readline()
debugger.switch(1, 1, 0, Category.DATA, on=False)
print("off", flush=True)
sys.stdin.readline()
"""


@pytest.mark.long
def test_nothing_stays_attached_when_all_is_off_or_its_holder_is_killed(debugger):
    before = attached()
    for ended_by in ("a switch", signal.SIGKILL):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        try:
            assert holder.stdout and holder.stdin
            assert holder.stdout.readline() == "on\n"
            assert attached() > before
            if ended_by == "a switch":
                holder.stdin.write("\n")
                holder.stdin.flush()
                assert holder.stdout.readline() == "off\n"
            else:
                os.kill(holder.pid, ended_by)
                holder.wait()
            until(lambda: attached() == before, f"all detached, ended by {ended_by}")
        finally:
            holder.kill()
            holder.communicate()


def attached() -> int:
    """Ask the kernel for the ids of all BPF programs (bpf(2): BPF_PROG_GET_NEXT_ID)."""
    count, program = 0, 0
    while (program := next_program(program)) is not None:
        count += 1
    return count


def next_program(after: int) -> int | None:
    attributes = ctypes.create_string_buffer(struct.pack("=3I", after, 0, 0), 16)
    if libc._libc.syscall(SYS_BPF, BPF_PROG_GET_NEXT_ID, attributes, len(attributes)) < 0:
        return None
    return int(struct.unpack_from("=I", attributes, 4)[0])
