"""Daemons in operation: reloaded, killed and started again, drained, calling both ways."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from l2tp.daemon.control import ControlError
from l2tp.daemon.remains import MARK
from l2tp.kernel.shared_ports import finds_sessions_by_ids
from l2tp.protocol.codec import encode_message
from l2tp.protocol.header import encode_control
from l2tp.protocol.messages import HELLO, OUR_VERSION, SCCRQ
from tests.kernel.daemon_support import NOTHING, Network, ready_sessions, until
from tests.kernel.pppox_support import hands_on_icmp_errors

pytestmark = pytest.mark.kernel

SYS_PIDFD_GETFD = 438
LINE = '[[line]]\nnumber = "555"\nuser = "alice"\nsequencing = true\nroutes = ["203.0.113.0/24"]\n'


@contextmanager
def running(folder, edits=(), changes=None):
    with Network(folder, changes=changes) as network:
        for role, old, new in edits:
            network.edit(role, old, new)
        network.start("lns", "lac")
        network.wait_ready("lns", "lac")
        yield network


def sessions(network, role):
    with network.client(role) as client:
        return ready_sessions(client.status())


def tunnels(network, role):
    with network.client(role) as client:
        return client.status()["tunnels"]


def borrow_sockets(pid):
    """Hold a process's UDP sockets, as a child or a debugger of it would."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    held = []
    for name in [one.name for one in Path(f"/proc/{pid}/fd").iterdir()]:
        fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(name), 0)
        if fd < 0:
            continue
        try:
            borrowed = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            continue
        if borrowed.family == socket.AF_INET and borrowed.type == socket.SOCK_DGRAM:
            held.append(borrowed)
        else:
            borrowed.close()
    os.close(pidfd)
    return held


def test_a_restart_clears_what_a_kill_left_and_only_that(tmp_path):
    folder = tmp_path / "lac"
    with running(tmp_path) as network:
        (tunnel,) = tunnels(network, "lac")
        old = f"Tunnel {tunnel['local_tunnel_id']},"
        netns = network.names["lac"]
        foreign = ("tunnel_id", "9", "peer_tunnel_id", "9", "encap", "udp", "udp_sport", "9")
        ends = ("local", "127.0.0.1", "remote", "127.0.0.2", "udp_dport", "9")
        network.run("ip", "-n", netns, "l2tp", "add", "tunnel", *foreign, *ends)
        held = borrow_sockets(network.pid("lac"))
        marked = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(folder)})
        other = subprocess.Popen(["sleep", "600"])
        try:
            network.kill_daemon("lac")
            until(lambda: not network.left("lac")["interfaces"], "the PPP interface is gone")
            assert any(line.startswith(old) for line in network.left("lac")["tunnels"])
            network.start("lac")
            with network.client("lac"):
                there = network.left("lac")["tunnels"]
            assert not any(line.startswith(old) for line in there)
            assert any(line.startswith("Tunnel 9,") for line in there)
            # Who holds the old socket gets what is for its port; that is beyond us.
            for one in held:
                one.close()
            network.wait_ready("lac")
            network.ping("lac", "203.0.113.1")
            assert marked.wait(60) == -signal.SIGKILL
            assert other.poll() is None
            removed = [one for one in network.log("lac") if one["event"] == "LeftoverRemoved"]
            assert [one.get("pid") or one["local_tunnel_id"] for one in removed] == [
                tunnel["local_tunnel_id"],
                marked.pid,
            ]
        finally:
            for one in held:
                one.close()
            for process in (marked, other):
                process.kill()
                process.wait()


def test_reload_leaves_the_live_session_and_serves_the_next(tmp_path):
    with running(tmp_path) as network:
        before = [sessions(network, role)[0]["ppp"]["pid"] for role in ("lac", "lns")]
        for role in ("lac", "lns"):
            path = tmp_path / role / "secrets.toml"
            path.write_text(path.read_text() + 'bob = "the builder"\n')
        with network.client("lns") as events:
            records = events.events()
            network.daemons["lns"].send_signal(signal.SIGHUP)
            while next(records)["event"] != "Reloaded":
                pass
        with network.client("lac") as client:
            assert client.reload() == {"changed": ["credentials"], "needs_restart": []}
            client.call(user="bob", routes=[], addresses=[])
        network.wait_ready("lac", "lns", count=2)
        assert {one["user"] for one in sessions(network, "lns")} == {"alice", "bob"}
        network.ping("lac", "203.0.113.1")
        after = [sessions(network, role)[0]["ppp"]["pid"] for role in ("lac", "lns")]
        assert after == before


def test_an_lns_calls_and_the_lac_ends_ppp_as_the_called_party(tmp_path):
    edits = [
        (
            "lac",
            '[[tunnel.call]]\nuser = "alice"',
            '[[tunnel.call]]\nuser = "alice"\nat_start = false',
        ),
        ("lac", "[[tunnel]]", f"{LINE}[[tunnel]]"),
        # The LAC follows the LNS to the port that it answers from (RFC 2661 §8.1).
        ("lns", "[ppp]", "answer_port = 0\n[ppp]"),
    ]
    with Network(tmp_path) as network:
        for role, old, new in edits:
            network.edit(role, old, new)
        network.start("lns", "lac")
        until(
            lambda: [one["state"] for one in tunnels(network, "lns")] == ["established"], "tunnel"
        )
        with network.client("lns") as client:
            client.call(number="555")
        network.wait_ready("lns", "lac")
        network.ping("lac", "203.0.113.1")
        (lac,), (lns,) = (sessions(network, role) for role in ("lac", "lns"))
        assert (lac["ppp"]["local_ipv4"], lns["user"]) == ("10.64.0.2", "alice")
        assert lac["kernel"]["tx_packets"] == lns["kernel"]["rx_packets"] > 2
        assert lns["kernel"]["rx_seq_discards"] == lac["kernel"]["rx_seq_discards"] == 0
        # Columns mtu/mru/rcvseq/sendseq/lns of net/l2tp/l2tp_ppp.c: pppol2tp_seq_session_show.
        for role, columns in (("lac", "0/0/R/S/LAC"), ("lns", "0/0/R/S/LNS")):
            netns = network.names[role]
            shown = network.run("ip", "netns", "exec", netns, "cat", "/proc/net/pppol2tp")
            assert columns in shown
        (tunnel,) = tunnels(network, "lac")
        assert not tunnel["peer"].endswith(":1701")
        with network.client("lns") as client:
            client.hangup(*(tunnel["peer_tunnel_id"], lns["local_session_id"]))
        until(lambda: not network.left("lac")["interfaces"], "the LAC's interface is gone")


TO_THE_LAC = """[[tunnel]]
name = "lac"
local = "192.0.2.2"
peer = "192.0.2.1"
secret = "lac"
at_start = false
[ppp]"""


def test_an_lns_opens_the_tunnel_that_it_calls_through(tmp_path):
    """Either end may open a tunnel (RFC 2661 §7.2); the LAC here listens, and opens none."""
    changes = {"lac": f'{LINE}[[listen]]\naddress = "192.0.2.1"\n'}
    with Network(tmp_path, changes=changes) as network:
        network.edit("lac", 'secret = "lns"\n', 'secret = "lns"\nat_start = false\n')
        network.edit("lac", 'user = "alice"\nroutes', 'user = "alice"\nat_start = false\nroutes')
        network.edit("lns", "[ppp]", TO_THE_LAC)
        network.start("lns", "lac")
        with network.client("lac") as client:
            assert client.status()["tunnels"] == []
        with network.client("lns") as client:
            client.call(tunnel="lac", number="555")
        network.wait_ready("lns", "lac")
        network.ping("lac", "203.0.113.1")
        (tunnel,) = tunnels(network, "lns")
        assert tunnel["name"] == "lac"
        log = network.log("lns")
        sent = [one["name"] for one in log if one["event"] == "MessageSent"]
        received = [one["name"] for one in log if one["event"] == "MessageReceived"]
        assert "SCCRQ" in sent and "SCCRQ" not in received


SIX = """[[tunnel]]
name = "six"
local = "2001:db8:1::1"
peer = "2001:db8:1::2"
secret = "lns"
[[tunnel.call]]
user = "alice"
"""
TWO = """[[tunnel]]
name = "two"
local = "192.0.2.1"
peer = "192.0.2.2"
secret = "lns"
at_start = false
[[tunnel.call]]
user = "alice"
"""


@pytest.mark.long
def test_tunnels_of_both_families_and_with_the_same_ports(tmp_path):
    edits = [
        ("lac", "[[tunnel]]\n", f"{TWO}{SIX}[[tunnel]]\n"),
        (
            "lns",
            '[listen]\naddress = "192.0.2.2"',
            '[[listen]]\naddress = "192.0.2.2"\n[[listen]]\naddress = "2001:db8:1::2"',
        ),
    ]
    patient = {"lac": "ppp_timeout_s = 60\nstop_timeout_s = 120\n"}
    with Network(tmp_path, changes=patient) as network:
        for role, old, new in edits:
            network.edit(role, old, new)
        network.start("lns", "lac")
        network.wait_ready("lns", "lac", count=2)
        wanted = 2
        with network.client("lac") as client:
            if finds_sessions_by_ids():
                client.call(tunnel="two")
                wanted = 3
            else:
                with pytest.raises(ControlError, match="cannot tell their data apart"):
                    client.call(tunnel="two")
        network.wait_ready("lns", "lac", count=wanted)
        for session in sessions(network, "lac"):
            received = session["kernel"]["rx_packets"]
            network.ping("lac", "10.64.0.1", "-I", session["ppp"]["interface"])
            (after,) = [
                one
                for one in sessions(network, "lac")
                if one["ppp"]["interface"] == session["ppp"]["interface"]
            ]
            assert after["kernel"]["rx_packets"] >= received + 2
        ends = {(one["local"], one["peer"]) for one in tunnels(network, "lac")}
        assert ("[2001:db8:1::1]:1701", "[2001:db8:1::2]:1701") in ends
        assert len(network.left("lns")["tunnels"]) > len(network.left("lns")["interfaces"])
        # Every tunnel ends in order, whatever socket gets its StopCCN's acknowledgement.
        with network.client("lac") as client:
            client.stop()
        network.daemons["lac"].wait()
        assert network.left("lac") == NOTHING
        assert "StopTimedOut" not in [one["event"] for one in network.log("lac")]
        until(lambda: not network.left("lns")["tunnels"], "the LNS's tunnels are gone")


@pytest.mark.long
def test_a_hello_is_put_off_while_data_comes(tmp_path):
    hello = dict.fromkeys(("lac", "lns"), "[protocol]\nhello_interval_s = 2\n")
    with running(tmp_path, changes=hello) as network:

        def hellos():
            said = [one for one in network.log("lac") if one["event"] == "MessageSent"]
            return sum(one["name"] == "HELLO" for one in said)

        before = hellos()
        network.ping("lac", "203.0.113.1", "-c40", "-i0.2", "-q")
        assert hellos() == before
        until(lambda: hellos() > before, "a HELLO after silence of control and data")


@pytest.mark.long
def test_a_peer_that_hangs_does_not_keep_a_stopping_daemon(tmp_path):
    with running(tmp_path, changes={"lac": "stop_timeout_s = 4\n"}) as network:
        hanging = network.pid("lns")
        os.kill(hanging, signal.SIGSTOP)
        try:
            network.daemons["lac"].send_signal(signal.SIGTERM)
            assert network.daemons["lac"].wait(120) == 0
            assert network.left("lac") == NOTHING
            names = [one["event"] for one in network.log("lac")]
            # PPP ended before the StopCCN left; its acknowledgement never came.
            assert "StopTimedOut" in names
            assert names.index("PppExited") < names.index("TunnelClosed")
        finally:
            os.kill(hanging, signal.SIGCONT)


@pytest.mark.long
def test_a_lost_call_comes_back_when_its_lns_does(tmp_path):
    changes = {
        "lac": "[redial]\nfirst_s = 0.5\nlongest_s = 2\n[protocol]\nhello_interval_s = 1\n"
        "retransmission_initial_s = 0.2\nmaximum_retransmissions = 3\n"
    }
    edits = [("lac", 'user = "alice"', 'user = "alice"\nredial = true')]
    with running(tmp_path, edits, changes) as network:
        network.kill_daemon("lns")
        until(
            lambda: "RedialPlanned" in [one["event"] for one in network.log("lac")],
            "the LAC has noticed",
        )
        network.start("lns")
        network.wait_ready("lns", "lac")
        network.ping("lac", "203.0.113.1")
        lost = next(one for one in network.log("lac") if one["event"] == "TunnelClosed")
        assert "no answer from 192.0.2.2:1701 to HELLO" in lost["cause"]
        told = "the network reported Connection refused" in lost["cause"]
        assert told == hands_on_icmp_errors()


def send(network, role, source, destination, datagrams):
    """Send datagrams from an address of a namespace, by a child in it."""
    code = (
        "import socket,sys\n"
        "host,*rest=sys.argv[1:]\n"
        "for line in rest:\n"
        "  s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        "  s.bind((host,0))\n"
        f"  s.sendto(bytes.fromhex(line),{destination!r})\n"
    )
    network.run(
        *("ip", "netns", "exec", network.names[role], "python3", "-c", code, source), *datagrams
    )


def flood_in_log(folder):
    """When the LNS recorded refused requests (ns), and how many it told as a number."""
    lines = (folder / "lns" / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines if "too-many-half-open-tunnels" in line]
    times = [one["time_ns"] for one in records if one["event"] == "DatagramDropped"]
    return times, sum(one["count"] for one in records if one["event"] == "RecordsLeftOut")


@pytest.mark.long
def test_a_flood_of_requests_leaves_the_live_session_alone(tmp_path):
    def request(number):
        message = SCCRQ(
            protocol_version=OUR_VERSION,
            framing_capabilities=3,
            host_name="flood",
            assigned_tunnel_id=number,
        )
        return encode_control(0, 0, 0, 0, encode_message(message)).hex()

    def memory_kib(pid):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    with running(tmp_path) as network:
        lac = network.names["lac"]
        hosts = [f"192.0.2.{number}" for number in range(10, 60)]
        for host in hosts:
            network.run("ip", "-n", lac, "address", "add", f"{host}/24", "dev", "up0")
        pid = network.pid("lns")
        before = memory_kib(pid)
        (tunnel,) = tunnels(network, "lns")
        hello = encode_control(tunnel["local_tunnel_id"], 0, 9, 9, encode_message(HELLO())).hex()
        for host in hosts:
            send(network, "lac", host, ("192.0.2.2", 1701), [request(n) for n in range(1, 61)])
        send(network, "lac", hosts[0], ("192.0.2.2", 1701), [hello] * 3)
        with network.client("lns") as client:
            status = client.status()
        assert sum(status["dropped"].values()) > 2000
        assert status["dropped"]["too-many-half-open-tunnels"] > 2000
        assert len(status["tunnels"]) <= 1 + 128
        (live,) = [one for one in status["tunnels"] if one["state"] == "established"]
        # Whatever the flood made late, the LAC's own retransmissions apart, was the strangers'.
        strange = {reason: n for reason, n in live["dropped"].items() if reason != "duplicate"}
        assert strange == {"wrong-source": 3}
        assert memory_kib(pid) < before + 20_000
        network.ping("lac", "203.0.113.1")
        with network.client("lac") as client:
            client.call(user="alice", routes=[], addresses=[])
        network.wait_ready("lac", "lns", count=2)
        # Only what is established is in the kernel.
        assert " ".join(network.left("lns")["tunnels"]).count("Tunnel ") == 1

        def is_told():
            with network.client("lns") as client:
                dropped = client.status()["dropped"]["too-many-half-open-tunnels"]
            times, left_out = flood_in_log(tmp_path)
            return len(times) + left_out == dropped

        until(is_told, "each of the flood in the log, as a record or in a number")
        times, _ = flood_in_log(tmp_path)
        # Twenty in ten seconds; how long a flood takes is the machine's affair.
        stretches = (times[-1] - times[0]) // 10_000_000_000 + 2
        assert len(times) <= 20 * stretches


@pytest.mark.long
def test_nothing_starts_twice_in_one_folder(tmp_path):
    with Network(tmp_path) as network:
        network.start("lns")
        pid, first = network.pid("lns"), network.daemons["lns"]
        network.start("lns")
        second = network.daemons["lns"]
        try:
            assert second.wait(60) == 4
            output = (tmp_path / "lns" / "output.log").read_text()
            assert f"already (pid {pid}). Stop it: kill {pid}" in output
        finally:
            with suppress(ProcessLookupError):
                first.terminate()
            assert first.wait(60) == 0
