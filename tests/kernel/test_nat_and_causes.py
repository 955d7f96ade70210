"""What users of tunnels meet on their way: one NAT for two LACs, and a peer that never answers."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest

from tests.kernel.daemon_support import CONFIG, ROOT, SECRETS, Network, until
from tests.kernel.pythons import PYTHON

pytestmark = [pytest.mark.kernel, pytest.mark.long]

MASQUERADE = """\
table ip nat {
  chain post { type nat hook postrouting priority 100; oifname "up0" masquerade; }
}
"""
SILENCE = """\
table ip filter {
  chain one { type filter hook input priority 0; udp dport 1701 drop; }
}
"""
# Longer than the kernel looks for a neighbour (3 s).
QUICK = """\
[protocol]
retransmission_initial_s = 0.5
maximum_retransmissions = 3
"""


def start_behind(network, number):
    """Start a LAC in a namespace of its own behind the network's LAC node, its source port 1701."""
    role, router = f"host{number}", network.names["lac"]
    name = network.names[role] = f"{router}-{role}"
    network.run("ip", "netns", "add", name)
    network.run("ip", "-n", name, "link", "set", "lo", "up")
    peer = ("type", "veth", "peer", "name", f"in{number}", "netns", router)
    network.run("ip", "-n", name, "link", "add", "up0", *peer)
    network.run("ip", "-n", name, "address", "add", f"10.9.{number}.2/24", "dev", "up0")
    network.run("ip", "-n", name, "link", "set", "up0", "up")
    network.run("ip", "-n", router, "address", "add", f"10.9.{number}.1/24", "dev", f"in{number}")
    network.run("ip", "-n", router, "link", "set", f"in{number}", "up")
    network.run("ip", "-n", name, "route", "add", "192.0.2.0/24", "via", f"10.9.{number}.1")
    folder = network.folder / role
    folder.mkdir()
    text = CONFIG["lac"].format(lac=f"10.9.{number}.2", lns=network.addresses["lns"])
    (folder / "config.toml").write_text(text)
    (folder / "secrets.toml").write_text(SECRETS)
    (folder / "secrets.toml").chmod(0o600)
    command = [PYTHON, "-m", "l2tp", "lac", "--config", str(folder / "config.toml")]
    with (folder / "output.log").open("ab") as output:
        network.daemons[role] = subprocess.Popen(
            ["ip", "netns", "exec", name, *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    return role


def test_two_lacs_behind_one_nat(tmp_path):
    with Network(tmp_path) as network:
        router = network.names["lac"]
        inside = ("ip", "netns", "exec", router)
        network.run(*inside, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        subprocess.run([*inside, "nft", "-f", "-"], input=MASQUERADE, text=True, check=True)
        network.start("lns")
        hosts = [start_behind(network, number) for number in (1, 2)]
        network.wait_ready(*hosts)
        network.wait_ready("lns", count=2)
        with network.client("lns") as client:
            peers = [one["peer"] for one in client.status()["tunnels"]]
        # One address, two ports: the NAT has moved one of them away from 1701, or both.
        assert {peer.rpartition(":")[0] for peer in peers} == {network.addresses["lac"]}
        assert len(set(peers)) == 2
        for host in hosts:
            network.ping(host, "203.0.113.1")
        shown = network.left("lns")
        assert " ".join(shown["tunnels"]).count("Peer tunnel") == 2
        assert len(shown["sockets"]) == 3
        # One leaves in order, and the other stays.
        with network.client(hosts[0]) as client:
            client.stop()
        network.ping(hosts[1], "203.0.113.1")
        for host in hosts:
            with suppress(subprocess.CalledProcessError):
                network.run("ip", "netns", "delete", network.names[host])


def nobody_listens(network):
    network.start("lac")


def no_route(network):
    network.edit("lac", "192.0.2.2", "198.51.100.9")
    network.start("lac")


def nobody_has_the_address(network):
    network.edit("lac", "192.0.2.2", "192.0.2.77")
    network.start("lac")


def silence(network):
    inside = ("ip", "netns", "exec", network.names["lns"], "nft", "-f", "-")
    subprocess.run(inside, input=SILENCE, text=True, check=True)
    network.start("lac")


def a_wrong_secret(network):
    path = network.folder / "lac" / "secrets.toml"
    path.write_text(path.read_text().replace('lns = "between us"', 'lns = "not between us"'))
    network.start("lns")
    with network.client("lns"):
        network.start("lac")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (nobody_listens, ["Connection refused, reported by 192.0.2.2", "nobody listens on UDP"]),
        (no_route, ["Network is unreachable", "ip route get 198.51.100.9"]),
        (nobody_has_the_address, ["No route to host", "`ip neigh`"]),
        (silence, ["nobody listening there, a firewall", "tcpdump -ni any udp port 1701"]),
        (a_wrong_secret, ["secret"]),
    ],
)
def test_a_tunnel_that_does_not_come_names_its_cause(tmp_path, prepare, words):
    with Network(tmp_path, changes={"lac": QUICK}) as network:
        prepare(network)

        def closed():
            with suppress(FileNotFoundError):
                return [one for one in network.log("lac") if one["event"] == "TunnelClosed"]
            return []

        until(lambda: bool(closed()), "the LAC has given the tunnel up")
        cause = closed()[0]["cause"]
        assert [word for word in words if word not in cause] == [], cause
        # It is still told when nothing else of the tunnel is left.
        with network.client("lac") as client:
            (ended,) = client.status()["ended"]
        assert ended["cause"] == cause
