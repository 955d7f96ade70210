"""The LAC and the LNS with the real driver and the real pppd."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.daemon_support import NOTHING, Network, ready_sessions, until

pytestmark = pytest.mark.kernel


@contextmanager
def running(folder, version=4, changes=None):
    with Network(folder, version, changes) as network:
        network.start("lns", "lac")
        network.wait_ready("lns", "lac")
        yield network


def only_session(network, role):
    with network.client(role) as client:
        (tunnel,) = client.status()["tunnels"]
    (session,) = tunnel["sessions"]
    return tunnel, session


def in_a_quiet_moment(network):
    """Ask both ends while nothing flows: a new interface sends on its own for some seconds."""
    ends = {}

    def is_quiet():
        before = only_session(network, "lac")
        ends["lns"] = only_session(network, "lns")
        ends["lac"] = only_session(network, "lac")
        return before[1]["kernel"] == ends["lac"][1]["kernel"]

    until(is_quiet, "a quiet moment")
    return ends["lac"], ends["lns"]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.rfc2661("5.3-frames", "8.2-udp")
@pytest.mark.parametrize("version", [4, 6])
def test_both_families_flow_and_the_driver_counts_them(tmp_path, version):
    with running(tmp_path, version) as network:
        network.ping("lac", "203.0.113.1")
        network.ping("lac", "2001:db8:3::1")
        (lac_tunnel, lac), (lns_tunnel, lns) = in_a_quiet_moment(network)
        assert (lac["ppp"]["local_ipv4"], lac["ppp"]["peer_ipv4"]) == ("10.64.0.2", "10.64.0.1")
        assert lns["user"] == "alice"
        assert lac["kernel"]["tx_packets"] == lns["kernel"]["rx_packets"] > 4
        assert lns["kernel"]["tx_packets"] == lac["kernel"]["rx_packets"]
        assert lac["kernel"]["rx_errors"] == lns["kernel"]["rx_errors"] == 0
        shown = " ".join(network.left("lac")["tunnels"])
        assert f"Tunnel {lac_tunnel['local_tunnel_id']}," in shown
        assert f"Peer tunnel {lns_tunnel['local_tunnel_id']}" in shown


def test_hanging_up_takes_the_session_out_of_both_kernels(tmp_path):
    with running(tmp_path) as network:
        tunnel, session = only_session(network, "lac")
        with network.client("lac") as client:
            client.hangup(tunnel["local_tunnel_id"], session["local_session_id"])
        assert network.left("lac")["sessions"] == network.left("lac")["interfaces"] == []
        until(lambda: not network.left("lns")["interfaces"], "the LNS's interface is gone")
        until(lambda: not network.left("lns")["sessions"], "the LNS's session is gone")
        assert network.left("lns")["tunnels"]
        with network.client("lac") as client:
            client.call(user="alice")
        network.wait_ready("lns", "lac")
        network.ping("lac", "203.0.113.1")


def test_a_second_call_gives_the_routes_back_when_it_ends(tmp_path):
    with running(tmp_path) as network:
        with network.client("lac") as client:
            ids = client.call(user="alice")
        network.wait_ready("lns", "lac", count=2)
        with network.client("lac") as client:
            client.hangup(ids["local_tunnel_id"], ids["local_session_id"])
        until(lambda: len(network.left("lns")["sessions"]) == 1, "one session is left")
        network.ping("lac", "203.0.113.1")
        network.ping("lac", "2001:db8:3::1")


@pytest.mark.long
def test_a_route_of_the_box_itself_is_left_alone_and_told(tmp_path):
    with Network(tmp_path) as network:
        lac = network.names["lac"]
        own = "203.0.113.0/24 dev up0 scope link"
        network.run("ip", "-n", lac, "route", "add", *own.split())
        network.start("lns", "lac")
        network.wait_ready("lns", "lac")
        (told,) = [one for one in network.log("lac") if one["event"] == "RoutesShadowed"]
        assert told["routes"] == [own]
        shown = network.run("ip", "-n", lac, "route", "show", "exact", "203.0.113.0/24")
        first, second = [line.strip() for line in shown.splitlines()]
        assert first == own and " dev ppp0 " in second
        network.ping("lac", "2001:db8:3::1")


@pytest.mark.parametrize("first", ["lac", "lns"])
def test_stopping_leaves_nothing(tmp_path, first):
    with running(tmp_path) as network:
        pids = [only_session(network, role)[1]["ppp"]["pid"] for role in ("lac", "lns")]
        for role in (first, "lns" if first == "lac" else "lac"):
            with network.client(role) as client:
                client.stop()
            assert network.daemons[role].wait() == 0
            assert network.left(role) == NOTHING
            assert (tmp_path / role / "output.log").read_text() == ""
        assert not any(map(is_running, pids))


@pytest.mark.long
def test_daemons_of_the_ordinary_interpreter_do_the_same(tmp_path):
    """What a box runs that can do it all itself; in the appliance others are forked warm."""
    with Network(tmp_path) as network:
        network.python = sys.executable
        network.start("lns", "lac")
        network.wait_ready("lns", "lac")
        network.ping("lac", "203.0.113.1")
        network.daemons["lac"].send_signal(signal.SIGTERM)
        assert network.daemons["lac"].wait() == 0
        assert network.left("lac") == NOTHING


def test_sigterm_is_a_stop(tmp_path):
    with running(tmp_path) as network:
        network.daemons["lac"].send_signal(signal.SIGTERM)
        assert network.daemons["lac"].wait() == 0
        assert network.left("lac") == NOTHING
        assert '"name": "StopCCN"' in (tmp_path / "lac" / "log.jsonl").read_text()


@pytest.mark.parametrize("victim", ["lac", "lns"])
def test_a_killed_daemon_takes_its_pppds_and_all_its_kernel_state_along(tmp_path, victim):
    with running(tmp_path) as network:
        _, session = only_session(network, victim)
        network.kill_daemon(victim)
        until(lambda: not is_running(session["ppp"]["pid"]), "pppd is gone")
        until(lambda: network.left(victim) == NOTHING, "the kernel has forgotten it")


def test_a_daemon_starts_again_after_it_was_killed(tmp_path):
    with running(tmp_path) as network:
        network.kill_daemon("lac")
        network.start("lac")
        network.wait_ready("lac")
        network.ping("lac", "203.0.113.1")


def test_the_boxs_own_pppd_is_neither_read_nor_written(tmp_path):
    watched = [Path("/etc/ppp"), Path("/run")]

    def files():
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size)
            for folder in watched
            for path in sorted(folder.rglob("*ppp*") if folder.name == "run" else folder.rglob("*"))
            if path.is_file()
        }

    before = files()
    with running(tmp_path) as network:
        assert files() == before
        _, session = only_session(network, "lac")
        inside = Path(f"/proc/{session['ppp']['pid']}/root")
        assert "alice" in (inside / "etc/ppp/chap-secrets").read_text()
        assert (inside / "run" / f"{session['ppp']['interface']}.pid").exists()
        argv = Path(f"/proc/{session['ppp']['pid']}/cmdline").read_bytes()
        assert b"wonder" not in argv
    assert files() == before
    for role in ("lac", "lns"):
        assert "wonder land" not in (tmp_path / role / "log.jsonl").read_text()


def test_several_calls_share_a_tunnel(tmp_path):
    with running(tmp_path) as network:
        with network.client("lac") as client:
            for _ in range(2):
                client.call(user="alice", routes=[], addresses=[])
        network.wait_ready("lns", "lac", count=3)
        with network.client("lns") as client:
            status = client.status()
        assert len(status["tunnels"]) == 1
        addresses = {session["ppp"]["peer_ipv4"] for session in ready_sessions(status)}
        assert addresses == {"10.64.0.2", "10.64.0.3", "10.64.0.4"}
        assert len(network.left("lac")["interfaces"]) == 2 * 3


def test_a_wrong_password_is_named_at_both_ends(tmp_path):
    with Network(tmp_path) as network:
        secrets = tmp_path / "lac" / "secrets.toml"
        secrets.write_text(secrets.read_text().replace("wonder", "blunder"))
        network.start("lns", "lac")
        with network.client("lac") as client:
            closed = next(
                (one for one in client.events() if one["event"] == "SessionClosed"),
                None,
            )
        assert closed is not None
        # Either pppd may be the first to end its session over it.
        assert "failed to authenticate" in closed["cause"]
        until(lambda: not network.left("lac")["interfaces"], "no interface is left")


def test_numbered_data_is_numbered_in_the_driver(tmp_path):
    changes = dict.fromkeys(("lac", "lns"), "[data]\nsend_sequence = true\n")
    with running(tmp_path, changes=changes) as network:
        network.ping("lac", "203.0.113.1")
        _, session = only_session(network, "lns")
        assert session["kernel"]["rx_seq_discards"] == 0
        name = network.names["lns"]
        shown = network.run("ip", "netns", "exec", name, "cat", "/proc/net/pppol2tp")
        # Columns mtu/mru/rcvseq/sendseq/lns of net/l2tp/l2tp_ppp.c: pppol2tp_seq_session_show.
        assert "0/0/-/S/LNS" in shown
