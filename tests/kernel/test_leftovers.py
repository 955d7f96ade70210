"""What a test leaves in the kernel is found: the red side of conftest.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import closing

import pytest

from l2tp.kernel.ppp import Unit
from l2tp.kernel.pppox import PppoxTunnel, SessionOptions
from l2tp.kernel.udp import open_udp_socket
from l2tp.protocol.header import encode_data
from l2tp.protocol.parameters import Address
from tests.kernel import conftest, kernel_log
from tests.kernel.daemon_support import until
from tests.kernel.driver_states import make_session_without_socket
from tests.kernel.kernel_log import KernelLog
from tests.kernel.leftovers import Holdings, Watch
from tests.kernel.pppox_support import lcp_echo
from tests.kernel.raw_sockets import pppox

pytestmark = pytest.mark.kernel

HERE, THERE = Address("127.0.0.1", 1901), Address("127.0.0.1", 1902)


def test_nothing_is_left_where_nothing_was_made():
    before = Holdings.now()
    assert Holdings.now().left(before) == []


def test_a_tunnel_its_sockets_and_an_interface_are_named():
    before = Holdings.now()
    with open_udp_socket(HERE, THERE) as udp, Unit() as unit:
        tunnel = PppoxTunnel(udp.fileno(), 4711, 4712, THERE)
        left = Holdings.now().left(before)
        tunnel.close()
    text = "\n".join(left)
    assert "the driver's TUNNEL 'tunl 4711' in the namespace of the tests" in left
    assert f"interface ppp{unit.number} in the namespace of the tests" in left
    assert "udp socket 0100007F:076D" in text
    assert any(line.startswith("PPPoL2TP sockets: ") for line in left)
    assert any(line.startswith("open /dev/ppp: ") for line in left)


def test_a_namespace_and_a_process_in_one_are_named():
    name = f"left-{os.getpid()}"
    before = Holdings.now()
    subprocess.run(["ip", "netns", "add", name], check=True)
    sleeper = subprocess.Popen(["unshare", "--net", "sleep", "100"])
    try:
        left = Holdings.now().left(before)
        while not any("sleep" in line for line in left):
            left = Holdings.now().left(before)
    finally:
        sleeper.kill()
        sleeper.wait()
        subprocess.run(["ip", "netns", "del", name], check=True)
    assert any(line.startswith(f"namespace {name} (") for line in left)


def test_a_test_that_leaves_something_fails(monkeypatch: pytest.MonkeyPatch):
    watch = Watch(KernelLog())
    with (
        pppox(),
        monkeypatch.context() as patch,
        pytest.raises(pytest.fail.Exception, match=r"PPPoL2TP sockets: \d holds"),
    ):
        patch.setattr(conftest, "_SETTLED_WITHIN_S", 0)
        conftest.hold_to_account(watch)
    # Another processor may still be freeing the socket: it holds its module until then.
    conftest.hold_to_account(watch)


@pytest.mark.long
def test_a_test_that_leaves_a_session_fails(monkeypatch: pytest.MonkeyPatch):
    with (
        closing(KernelLog()) as log,
        open_udp_socket(HERE, THERE) as udp,
        closing(PppoxTunnel(udp.fileno(), 4711, 4712, THERE)) as tunnel,
    ):
        watch = Watch(log)
        tunnel.open_session(1, 2, SessionOptions())
        with (
            monkeypatch.context() as patch,
            pytest.raises(pytest.fail.Exception, match="the driver's SESSION 'sess 4711/1'"),
        ):
            patch.setattr(conftest, "_SETTLED_WITHIN_S", 0)
            conftest.hold_to_account(watch)
        tunnel.close_session(1)
        conftest.hold_to_account(watch)


@pytest.mark.long
def test_a_test_that_leaves_a_pppd_fails(tmp_path, monkeypatch: pytest.MonkeyPatch):
    # What the kernel calls a process is the name of its program.
    program = tmp_path / "pppd"
    program.symlink_to(shutil.which("sleep"))
    with closing(KernelLog()) as log:
        watch = Watch(log)
        process = subprocess.Popen([program, "100"])
        said = rf"process pppd \({process.pid}\) in the namespace of the tests"
        try:
            with monkeypatch.context() as patch, pytest.raises(pytest.fail.Exception, match=said):
                patch.setattr(conftest, "_SETTLED_WITHIN_S", 0)
                conftest.hold_to_account(watch)
        finally:
            process.kill()
            process.wait()
        conftest.hold_to_account(watch)


def test_a_test_that_the_kernel_complains_of_fails(monkeypatch: pytest.MonkeyPatch):
    """The driver warns of data for a session without a socket; no other test minds this one."""
    complaint = "l2tp_ppp: sess 4711/77: no socket in recv"
    said = f"the kernel's log says:\n(.*\n)*  {complaint}"
    with closing(KernelLog()) as log, closing(KernelLog()) as heard:
        watch = Watch(log)
        with monkeypatch.context() as patch:
            patch.setattr(kernel_log, "_INNOCENT", re.compile("(?!)"))
            with (
                open_udp_socket(HERE, THERE) as udp,
                open_udp_socket(THERE, HERE) as peer,
                closing(PppoxTunnel(udp.fileno(), 4711, 4712, THERE)),
            ):
                make_session_without_socket(4711, 77, 78)
                peer.send(encode_data(4711, 77, lcp_echo(1)))
                until(lambda: complaint in heard.complaints(), "the driver warns")
            with pytest.raises(pytest.fail.Exception, match=said):
                conftest.hold_to_account(watch)
        conftest.hold_to_account(watch)  # it is said once


def test_what_a_module_keeps_is_not_held_against_its_tests():
    name = f"kept-{os.getpid()}"
    since = Holdings.now()
    subprocess.run(["ip", "netns", "add", name], check=True)
    watch = Watch(KernelLog(), since)
    sleeper = subprocess.Popen(["ip", "netns", "exec", name, "sleep", "100"])
    try:
        assert watch.left() == []
    finally:
        sleeper.kill()
        sleeper.wait()
        subprocess.run(["ip", "netns", "del", name], check=True)
