"""What has changed since the seed document was written, as this kernel shows it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from l2tp.kernel.ppp import Channel
from probes.hooks import modules
from probes.hooks.btf import Btf
from tests.kernel.pppox_support import Wire, in_private_netns, lcp_echo
from tests.kernel.probe_support import data_message

pytestmark = pytest.mark.kernel

_KALLSYMS = Path("/proc/kallsyms")


@pytest.fixture(scope="module")
def symbols() -> set[str]:
    modules.load_driver()
    return {line.split(maxsplit=2)[2] for line in _KALLSYMS.read_text().splitlines()}


def test_the_driver_has_moved_to_net_l2tp():
    """Since Linux 2.6.35; before, it was drivers/net/pppol2tp.c."""
    done = subprocess.run(["modinfo", "-n", "l2tp_ppp"], capture_output=True, text=True, check=True)
    assert "/kernel/net/l2tp/l2tp_ppp.ko" in done.stdout
    assert not Path("/sys/module/pppol2tp").exists()
    sites = Path("/sys/kernel/debug/dynamic_debug/control")
    if sites.exists():
        assert "net/l2tp/l2tp_core.c:" in sites.read_text()


def test_the_receive_path_hooks_in_by_another_name(symbols):
    """A pointer in each UDP socket that the driver sets, instead of one function of udp.c."""
    assert "l2tp_udp_encap_recv\t[l2tp_core]" in symbols
    assert not any(name.split("\t")[0] == "udp_encap_rcv" for name in symbols)
    kernel = Btf.of_kernel()
    assert kernel.offsets([("udp_sock", "encap_rcv"), ("udp_sock", "encap_destroy")])


def test_a_tunnel_knows_its_udp_socket_and_a_session_its_tunnel():
    modules.load_driver()
    kernel = Btf.of_kernel()
    core, ppp = kernel.of_module("l2tp_core"), kernel.of_module("l2tp_ppp")
    assert core.offsets([("l2tp_tunnel", "sock"), ("l2tp_session", "tunnel")])
    assert ppp.offsets([("pppol2tp_session", "sk")])


def test_tracepoints_took_the_place_of_the_debug_mask():
    """Since Linux 5.10; what printk messages are left, dynamic debug has, for all tunnels alike."""
    modules.load_driver()
    events = Path("/sys/kernel/tracing/events/l2tp")
    assert {"register_tunnel", "session_seqnum_update", "session_pkt_oos"} <= {
        entry.name for entry in events.iterdir()
    }
    core = Btf.of_kernel().of_module("l2tp_core")
    with pytest.raises(Exception, match="debug"):
        core.offsets([("l2tp_tunnel", "debug")])
    control = Path("/sys/kernel/debug/dynamic_debug/control")
    sites = [line for line in control.read_text().splitlines() if "/l2tp/l2tp_core.c:" in line]
    # Three in one function; Linux 6.1 has three more in the one before it.
    assert len([line for line in sites if "]l2tp_recv_common " in line]) == 3
    assert all("]l2tp_recv_common " in line or "]l2tp_udp_recv_core " in line for line in sites)


def test_pppd_brings_the_plugin():
    found = list(Path("/usr/lib/pppd").glob("*/pppol2tp.so"))
    assert found


def test_both_ids_name_the_session_since_the_driver_looks_in_one_table(symbols):
    """Before Linux 6.11 the UDP socket named the tunnel, and the header's tunnel id went unread."""
    looks_in_one_table = any(name.startswith("l2tp_v2_session_get\t") for name in symbols)

    def test():
        with Wire() as wire:
            far: Channel = wire.channel(wire.far)
            message = data_message(4711, 2, lcp_echo(1))  # a foreign tunnel id, a session's own
            wire.left_udp.send(message)
            if looks_in_one_table:
                assert wire.right_udp.recv(100) == message
                assert far.receive() is None
            else:
                assert far.receive() == lcp_echo(1)

    in_private_netns(test)
