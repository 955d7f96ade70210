"""Our LAC and our LNS with xl2tpd at the other end, over the real driver."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from l2tp.kernel.shared_ports import finds_sessions_by_ids
from lab.instruments.capture import capture
from tests.kernel.daemon_support import NOTHING, ready_sessions, until
from tests.kernel.xl2tpd_support import MixedNetwork, xl2tpd_lac, xl2tpd_lns

pytestmark = pytest.mark.kernel


@contextmanager
def to_their_lns(folder, *, changes="", **peer):
    with MixedNetwork(folder, xl2tpd_lns(**peer), {"lac": changes}) as network:
        network.start_peer()
        network.start("lac")
        network.wait_ready("lac")
        yield network


@contextmanager
def to_our_lns(folder, *names, changes="", **peer):
    with MixedNetwork(folder, xl2tpd_lac(*names, **peer), {"lns": changes}) as network:
        network.start("lns")
        with network.client("lns"):
            pass
        network.start_peer()
        network.wait_ready("lns", count=len(names) or 1)
        yield network


def events_of(network, event, **wanted):
    lines = network.events().splitlines()
    records = [json.loads(line) for line in lines if line.endswith("}")]
    wanted = {"event": event, **wanted}
    return [one for one in records if wanted.items() <= one.items()]


def fields_of(network, name):
    """The fields of the message of that name, sent or received."""
    (message,) = [
        one["message"]
        for event in ("MessageSent", "MessageReceived")
        for one in events_of(network, event, name=name)[:1]
    ]
    return set(message)


def sessions_of(network):
    with network.client(network.ours) as client:
        return ready_sessions(client.status())


def test_our_lac_brings_sessions_up_with_xl2tpds_lns(tmp_path):
    with to_their_lns(tmp_path) as network:
        with network.client("lac") as client:
            client.call(user="alice", routes=[], addresses=[])
        network.wait_ready("lac", count=2)
        sessions = sessions_of(network)
        assert {one["ppp"]["peer_ipv4"] for one in sessions} == {"10.64.0.1"}
        until(lambda: len(network.left("lns")["interfaces"]) == 4, "both interfaces at xl2tpd")
        network.ping("lac", "203.0.113.1")
        for one in sessions_of(network):
            network.ping("lns", one["ppp"]["local_ipv4"])
            assert one["kernel"]["rx_errors"] == one["kernel"]["tx_errors"] == 0
        # Both challenged, and both answered (RFC 2661 §5.1.1).
        assert fields_of(network, "SCCRQ") >= {"challenge"}
        assert fields_of(network, "SCCRP") >= {"challenge", "challenge_response"}
        assert fields_of(network, "SCCCN") >= {"challenge_response"}
        with network.client("lac") as client:
            client.stop()
        assert network.daemons["lac"].wait() == 0
        until(lambda: not network.left("lns")["tunnels"], "xl2tpd has let go of the tunnel")
        # It ends the tunnel first and its pppds after that, which take a moment to go.
        until(lambda: not network.left("lns")["interfaces"], "xl2tpd's pppds have gone")


@pytest.fixture
def calls():
    """xl2tpd's LAC has a tunnel for each call, all from one port: one where the driver needs more.

    Our LNS would answer from a second port (RFC 2661 §8.1), where xl2tpd does not follow.
    """
    return ("one", "two") if finds_sessions_by_ids() else ("one",)


def test_xl2tpds_lac_brings_sessions_up_with_our_lns(tmp_path, calls):
    with to_our_lns(tmp_path, *calls) as network:
        assert fields_of(network, "SCCRP") >= {"challenge", "challenge_response"}
        sessions = sessions_of(network)
        assert [one["user"] for one in sessions] == ["alice"] * len(calls)
        network.ping("lac", "10.64.0.1")
        for one in sessions_of(network):
            network.ping("lns", one["ppp"]["peer_ipv4"])
            assert one["kernel"]["rx_errors"] == one["kernel"]["tx_errors"] == 0
        network.command_peer("d one")
        left = len(calls) - 1
        until(lambda: len(sessions_of(network)) == left, "the end of one session at our LNS")
        assert "Goodbye!" in events_of(network, "TunnelClosed")[0]["cause"]
        for one in sessions_of(network):
            network.ping("lns", one["ppp"]["peer_ipv4"])
        with network.client("lns") as client:
            client.stop()
        assert network.daemons["lns"].wait() == 0
        assert network.left("lns") == NOTHING
        until(lambda: network.left("lac")["interfaces"] == [], "xl2tpd has ended its sessions")


EAGER = """\
[protocol]
hello_interval_s = 2
retransmission_initial_s = 0.5
retransmission_cap_s = 1
maximum_retransmissions = 3
"""
IMPATIENT = {"maximum_retries": 4, "backoff_cap_s": 2}
"""What xl2tpd lets one choose; its HELLO comes a minute after the tunnel, whatever one writes."""


@pytest.mark.parametrize("ours", ["lac", "lns"])
def test_hellos_that_are_lost_end_the_tunnel_at_our_end(tmp_path, ours):
    pair = to_their_lns if ours == "lac" else to_our_lns
    with pair(tmp_path, changes=EAGER, **IMPATIENT) as network:
        network.lose(everything=True)
        given_up = {"event": "TunnelClosed", "by_peer": False}
        until(lambda: events_of(network, **given_up), "our end gives up")
        (closed,) = events_of(network, **given_up)
        assert "to HELLO after 3 retransmissions" in closed["cause"]
        until(lambda: network.left(ours)["interfaces"] == [], "our end's interface is gone")
        until(lambda: network.left(ours)["tunnels"] == [], "our end's tunnel is gone")


@pytest.mark.long
def test_our_lac_and_xl2tpds_lns_both_notice_a_dead_path(tmp_path):
    with to_their_lns(tmp_path, changes=EAGER, **IMPATIENT) as network:
        network.lose(everything=True)
        ours = {"event": "TunnelClosed", "by_peer": False}
        until(lambda: events_of(network, **ours), "our LAC gives up")
        closed = events_of(network, **ours)[0]
        assert "no answer from 192.0.2.2:1701 to HELLO after 3 retransmissions" in closed["cause"]
        until(lambda: network.left("lac")["interfaces"] == [], "our LAC's interface is gone")
        until(lambda: "Maximum retries exceeded" in network.peer_log(), "xl2tpd gives up")
        until(lambda: network.left("lns")["interfaces"] == [], "xl2tpd's interface is gone")
        network.lose(everything=False)
        with network.client("lac") as client:
            client.call(user="alice")
        network.wait_ready("lac")
        network.ping("lac", "203.0.113.1")


@pytest.mark.long
def test_our_lns_and_xl2tpds_lac_both_notice_a_dead_path(tmp_path):
    with to_our_lns(tmp_path, changes=EAGER, **IMPATIENT) as network:
        network.lose(everything=True)
        ours = {"event": "TunnelClosed", "by_peer": False}
        until(lambda: events_of(network, **ours), "our LNS gives up")
        closed = events_of(network, **ours)[0]
        assert "no answer from 192.0.2.1:1701 to HELLO after 3 retransmissions" in closed["cause"]
        until(lambda: network.left("lns")["interfaces"] == [], "our LNS's interface is gone")
        until(lambda: "Maximum retries exceeded" in network.peer_log(), "xl2tpd gives up")
        network.lose(everything=False)
        # xl2tpd dials again by itself.
        network.wait_ready("lns")
        network.ping("lac", "10.64.0.1")


def test_our_lac_outlives_a_restart_of_xl2tpds_lns(tmp_path):
    with to_their_lns(tmp_path, changes=EAGER) as network:
        network.kill("lns")
        until(lambda: network.left("lns")["interfaces"] == [], "xl2tpd's pppd is gone too")
        network.start_peer()
        until(lambda: events_of(network, "TunnelClosed"), "our LAC notices")
        assert "to HELLO" in events_of(network, "TunnelClosed")[0]["cause"]
        with network.client("lac") as client:
            client.call(user="alice")
        network.wait_ready("lac")
        network.ping("lac", "203.0.113.1")


def test_our_lns_outlives_a_restart_of_xl2tpds_lac(tmp_path):
    with to_our_lns(tmp_path, changes=EAGER) as network:
        network.kill("lac")
        until(lambda: network.left("lac")["interfaces"] == [], "xl2tpd's pppd is gone too")
        network.start_peer()
        until(lambda: events_of(network, "TunnelClosed"), "our LNS notices")
        # The old session is there until its pppd has ended.
        until(lambda: len(events_of(network, "SessionReady")) > 1, "the next session is ready")
        network.ping("lac", "10.64.0.1")


@pytest.mark.long
def test_xl2tpds_lns_takes_our_lac_again_after_it_was_killed(tmp_path):
    with to_their_lns(tmp_path) as network:
        network.kill("lac")
        network.start("lac")
        network.wait_ready("lac")
        network.ping("lac", "203.0.113.1")


@pytest.mark.long
def test_xl2tpds_lac_comes_back_to_our_lns_after_it_was_killed(tmp_path):
    with to_our_lns(tmp_path, **IMPATIENT) as network:
        network.kill("lns")
        network.start("lns")
        # xl2tpd's next HELLO, a minute after the tunnel's start, finds nobody who knows it.
        network.wait_ready("lns")
        network.ping("lac", "10.64.0.1")


@pytest.mark.long
def test_a_secret_that_xl2tpds_lns_does_not_share_is_named(tmp_path):
    with MixedNetwork(tmp_path, xl2tpd_lns(secrets={"lac": "another"})) as network:
        network.start_peer()
        network.start("lac")
        until(lambda: events_of(network, "TunnelClosed"), "our LAC refuses")
        closed = events_of(network, "TunnelClosed")[0]
        assert closed["result_code"] == 4
        assert "secret" in closed["cause"]
        until(lambda: "Connection closed" in network.peer_log(), "xl2tpd is told")


@pytest.mark.long
def test_xl2tpds_lac_says_that_it_does_not_share_our_secret(tmp_path):
    with MixedNetwork(tmp_path, xl2tpd_lac(secrets={"lns": "another"})) as network:
        network.start("lns")
        with network.client("lns"):
            pass
        network.start_peer()
        until(lambda: events_of(network, "TunnelClosed"), "the tunnel is refused")
        # In xl2tpd's own words: it is the one that was shown a wrong response.
        assert "Invalid challenge authentication" in events_of(network, "TunnelClosed")[0]["cause"]


@pytest.mark.parametrize("theirs", ["lns", "lac"])
def test_xl2tpds_hidden_bit_adds_a_random_vector_and_hides_nothing(tmp_path, theirs):
    """Debian's xl2tpd is built without what would hide an AVP."""
    pair = to_their_lns if theirs == "lns" else to_our_lns
    with pair(tmp_path, hidden_bit=True) as network:
        network.ping("lac", "10.64.0.1")


def test_xl2tpd_reveals_what_our_lac_hides(tmp_path):
    with MixedNetwork(tmp_path, xl2tpd_lns(debug=True)) as network:
        config = tmp_path / "lac" / "config.toml"
        config.write_text(config.read_text() + 'called_number = "5551234"\n')
        network.start_peer()
        with capture(network.names["lac"]) as captured:
            network.start("lac")
            network.wait_ready("lac")
            assert b"5551234" not in captured.file.read_bytes()
        assert "5551234" in network.peer_log()


HIDDEN_SESSION_ID = bytes.fromhex("c016 0000 000e")
"""How the Assigned Session ID begins that is hidden: M and H, 22 octets, vendor 0, type 14."""


def test_xl2tpds_lac_reveals_what_our_lns_hides(tmp_path, calls):
    """It needs the session id that ICRP brings, so without revealing it there is no session."""
    hiding = '[protocol]\nhide_avps = "calls"\n'
    with MixedNetwork(tmp_path, xl2tpd_lac(*calls), {"lns": hiding}) as network:
        network.start("lns")
        with network.client("lns"), capture(network.names["lns"]) as captured:
            network.start_peer()
            network.wait_ready("lns", count=len(calls))
            assert captured.file.read_bytes().count(HIDDEN_SESSION_ID) == len(calls)
        network.ping("lac", "10.64.0.1")
