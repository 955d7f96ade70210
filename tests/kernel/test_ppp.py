"""PPP on real sessions: how callers prove who they are, and what they get."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_network

import pytest

from l2tp.protocol.constants import CallResult
from tests.kernel.daemon_support import until
from tests.kernel.ppp_support import link, network, said, session, wait_for

pytestmark = pytest.mark.kernel


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
        warned = [one for one in net.log("lac") if one["event"] == "MtuExceedsPath"]
        # 1462 is exactly what IPv4's tunnel leaves of 1500: not one fragment there.
        assert (created > 0) is (mtu > 1462) is bool(warned)


@pytest.mark.long
def test_nothing_larger_is_sent_than_the_peer_said_it_takes(tmp_path):
    with network(tmp_path, "mtu = 1500\nmru = 1300", "mtu = 1500\nmru = 1500") as net:
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        # What an end receives at most bounds what the other sends (RFC 1661 §6.1).
        assert "mtu 1300" in link(net, "lns", "link", "show", "dev", "ppp0")
        assert "mtu 1500" in link(net, "lac", "link", "show", "dev", "ppp0")
