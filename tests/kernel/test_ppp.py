"""PPP on real sessions: how callers prove who they are, what they get, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import contextmanager
from ipaddress import ip_address, ip_network

import pytest

from l2tp.protocol.constants import CallResult
from tests.kernel.daemon_support import Network, until

pytestmark = pytest.mark.kernel


def changed(network, role, old, new):
    path = network.folder / role / "config.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def set_ppp(network, lac="", lns=""):
    """Add lines to [ppp] of the two configurations."""
    if lns:
        changed(network, "lns", "[ppp]\n", f"[ppp]\n{lns}\n")
    if lac:
        path = network.folder / "lac" / "config.toml"
        path.write_text(f"[ppp]\n{lac}\n{path.read_text()}")


@contextmanager
def network(folder, lac="", lns="", user="", version=4):
    with Network(folder, version) as made:
        set_ppp(made, lac, lns)
        if user:
            changed(made, "lns", 'name = "alice"\n', f'name = "alice"\n{user}\n')
        yield made


def log(network, role):
    lines = (network.folder / role / "log.jsonl").read_text().splitlines(keepends=True)
    # The last one may be in the middle of being written.
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for(network, role, event):
    found = []

    def look():
        found[:] = [record for record in log(network, role) if record["event"] == event]
        return bool(found)

    network.client(role).close()
    until(look, f"{event} at the {role}")
    return found[0]


def session(network, role):
    with network.client(role) as client:
        (tunnel,) = client.status()["tunnels"]
    (found,) = tunnel["sessions"]
    return found


def link(network, role, *words):
    return network.run("ip", "-n", network.names[role], *words)


def said(network, role):
    return [record["line"] for record in log(network, role) if record["event"] == "PppdSaid"]


@pytest.mark.parametrize("method", ["pap", "chap", "mschap-v2", "none"])
def test_each_authentication_lets_the_caller_in(tmp_path, method):
    options = f'authentication = "{method}"\ndebug = true'
    with network(tmp_path, options, options) as net:
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        net.ping("lac", "203.0.113.1")
        assert session(net, "lns")["user"] == (None if method == "none" else "alice")
        asked = re.findall(r"<auth (\S+)(?: (\S+))?>", "\n".join(said(net, "lns")))
        wanted = {
            "pap": ("pap", ""),
            "chap": ("chap", "MD5"),
            "mschap-v2": ("chap", "MS-v2"),
        }
        assert set(asked) == ({wanted[method]} if method in wanted else set())
        for role in ("lac", "lns"):
            assert "wonder land" not in (tmp_path / role / "log.jsonl").read_text()


@pytest.mark.long
def test_the_lns_gives_the_users_address_name_servers_and_prefix(tmp_path):
    user = 'ipv4 = "10.64.0.77"\nipv6_prefix = "2001:db8:a:7::/64"'
    with network(tmp_path, lns='dns = ["10.64.0.1", "203.0.113.1"]', user=user) as net:
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        ppp = session(net, "lac")["ppp"]
        assert ppp["local_ipv4"] == "10.64.0.77"
        assert ppp["dns"] == ["10.64.0.1", "203.0.113.1"]
        prefix = ip_network("2001:db8:a:7::/64")

        def formed():
            shown = json.loads(link(net, "lac", "-j", "-6", "addr", "show", "dev", "ppp0"))
            texts = [one["local"] for row in shown for one in row.get("addr_info", [])]
            return any(ip_address(text) in prefix for text in texts)

        until(formed, "an address of the advertised prefix on ppp0")
        assert "2001:db8:a:7::/64 dev ppp0" in link(net, "lns", "-6", "route", "show")
        net.ping("lac", "2001:db8:3::1")
        # One user, one address: the second session of alice ends, and the first stays.
        with net.client("lac") as client:
            client.call(user="alice", routes=[], addresses=[])
        refused = wait_for(net, "lns", "UserRefused")
        assert "10.64.0.77 is in use by session" in refused["cause"]
        closed = wait_for(net, "lac", "SessionClosed")
        assert closed["result_code"] == CallResult.NO_FACILITIES_TEMPORARY
        net.ping("lac", "203.0.113.1")


@pytest.mark.long
@pytest.mark.parametrize(("family", "other"), [("ipv4", "ipv6"), ("ipv6", "ipv4")])
def test_one_family_alone_makes_a_session(tmp_path, family, other):
    only = f"{other} = false"
    with network(tmp_path, only, only) as net:
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        ppp = session(net, "lac")["ppp"]
        assert ppp[f"local_{family}"]
        assert ppp[f"local_{other}"] is None
        net.ping("lac", {"ipv4": "203.0.113.1", "ipv6": "2001:db8:3::1"}[family])


@pytest.mark.long
@pytest.mark.parametrize("mtu", [576, 1280, 1462, 1500])
def test_the_interface_has_the_mtu_and_a_full_packet_passes(tmp_path, mtu):
    options = f"mtu = {mtu}\nmru = {mtu}" + ("\nipv6 = false" if mtu < 1280 else "")
    with network(tmp_path, options, options) as net:
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        assert f"mtu {mtu}" in link(net, "lac", "link", "show", "dev", "ppp0")
        assert session(net, "lac")["ppp"]["unfragmented_mtu"] == 1500 - 20 - 8 - 6 - 4
        size = str(mtu - 28)
        inside = ("ip", "netns", "exec", net.names["lac"])
        net.run(*inside, "ping", "-c1", "-W5", "-M", "do", "-s", size, "203.0.113.1")
        created = int(net.run(*inside, "nstat", "-asz", "IpFragCreates").split()[-2])
        warned = [one for one in log(net, "lac") if one["event"] == "MtuExceedsPath"]
        # 1462 is exactly what IPv4's tunnel leaves of 1500: not one fragment there.
        assert (created > 0) is (mtu > 1462) is bool(warned)


# What each end is configured with.
DISAGREEMENTS = {
    "wrong secret, PAP": ('authentication = "pap"', 'authentication = "pap"'),
    "wrong secret, CHAP": ("", ""),
    "methods disagree": ('authentication = "pap"', 'authentication = "chap"'),
}


def causes(net):
    """Every end of PPP and of a session that either daemon logged."""
    return [
        (role, record["event"], record["cause"])
        for role in ("lac", "lns")
        for record in log(net, role)
        if record["event"] in ("SessionClosed", "PppExited")
    ]


@pytest.mark.long
@pytest.mark.parametrize("disagreement", DISAGREEMENTS)
def test_a_caller_who_cannot_prove_who_it_is_hears_why(tmp_path, disagreement):
    with network(tmp_path, *DISAGREEMENTS[disagreement]) as net:
        if disagreement.startswith("wrong"):
            secrets = tmp_path / "lac" / "secrets.toml"
            secrets.write_text(secrets.read_text().replace("wonder", "blunder"))
        net.start("lns", "lac")
        wait_for(net, "lac", "SessionClosed")
        wait_for(net, "lns", "SessionClosed")
        said = [cause for _, event, cause in causes(net) if event == "PppExited"]
        assert any("authenticate" in cause for cause in said), said
        closed = [one for one in log(net, "lac") if one["event"] == "SessionClosed"]
        assert closed[0]["result_code"] == CallResult.ADMINISTRATIVE
        until(lambda: not net.left("lac")["interfaces"], "no interface is left")


@pytest.mark.long
def test_a_pool_without_an_address_refuses_the_call(tmp_path):
    with network(tmp_path) as net:
        changed(net, "lns", "10.64.0.0/24", "10.64.0.0/30")
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        with net.client("lac") as client:
            client.call(user="alice", routes=[], addresses=[])
        closed = wait_for(net, "lac", "SessionClosed")
        assert closed["result_code"] == CallResult.NO_FACILITIES_TEMPORARY
        assert "no free address" in closed["cause"]
        assert "PPP cause 19:" in closed["cause"]
        net.ping("lac", "203.0.113.1")


@pytest.mark.long
def test_lcp_that_nobody_answers_is_given_up(tmp_path):
    with network(tmp_path, 'options = ["silent"]', "setup_timeout_s = 5.0") as net:
        net.start("lns", "lac")
        closed = wait_for(net, "lac", "SessionClosed")
        assert closed["result_code"] == CallResult.NO_FRAMING_DETECTED
        assert "PPP cause 6:" in closed["cause"] and "no LCP packet came" in closed["cause"]


@pytest.mark.long
def test_lcp_that_does_not_converge_is_given_up(tmp_path):
    with network(tmp_path) as net:
        # What the LNS answers gets lost; only data has its first bit clear.
        rule = "udp sport 1701 @th,64,1 0 drop"
        chain = f"chain in {{ type filter hook input priority 0; {rule}; }}"
        inside = ("ip", "netns", "exec", net.names["lac"])
        net.run(*inside, "nft", f"table inet deaf {{ {chain}; }}")
        net.start("lns", "lac")
        closed = wait_for(net, "lns", "SessionClosed")
        assert closed["result_code"] == CallResult.NO_FRAMING_DETECTED, closed["cause"]
        # Both ends give up after ten requests, so that either may be the first to hang up.
        assert "did not converge" in closed["cause"]


@pytest.mark.long
@pytest.mark.parametrize("victim", ["lac", "lns"])
def test_a_pppd_that_dies_ends_its_session_with_a_cause(tmp_path, victim):
    with network(tmp_path) as net:
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        os.kill(session(net, victim)["ppp"]["pid"], signal.SIGKILL)
        other = "lns" if victim == "lac" else "lac"
        closed = wait_for(net, other, "SessionClosed")
        assert "signal 9" in closed["cause"] and "PPP cause 0:" in closed["cause"]
        assert closed["result_code"] == CallResult.GENERAL_ERROR
        for role in ("lac", "lns"):
            until(lambda role=role: not net.left(role)["interfaces"], "no interface is left")


@pytest.mark.long
@pytest.mark.parametrize(
    ("limit", "words"),
    [("session_timeout_s = 2", "connect time limit"), ("idle_timeout_s = 2", "idle too long")],
)
def test_limits_of_time_end_a_session(tmp_path, limit, words):
    with network(tmp_path, lns=limit) as net:
        net.start("lns", "lac")
        closed = wait_for(net, "lac", "SessionClosed")
        assert closed["result_code"] == CallResult.ADMINISTRATIVE
        assert words in closed["cause"]


@pytest.mark.long
def test_a_peer_that_answers_no_echo_is_dead(tmp_path):
    echo = "echo_interval_s = 1\necho_failures = 3"
    with network(tmp_path, lns=echo, lac="echo_interval_s = 0") as net:
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        os.kill(session(net, "lac")["ppp"]["pid"], signal.SIGSTOP)
        closed = wait_for(net, "lac", "SessionClosed")
        assert closed["result_code"] == CallResult.LOST_CARRIER
        assert "echo" in closed["cause"] and "PPP cause 8:" in closed["cause"]
