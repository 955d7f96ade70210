"""What strongSwan and nftables are told, and what is read of the kernel's associations."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.instruments.kernelview import read_associations
from lab.network.plan import File, Folder
from lab.running.ipsec import (
    ipsec_files,
    ipsec_processes,
    needs_certificates,
    protected_nodes,
)
from lab.running.packet_filters import filter_files, rulesets
from lab.topology import load_topology
from lab.topology.paths import nodes_on_the_way

FOLDER = Path("/run/l2tp-lab/lab")


class Signer:
    certificate = "the authority's"

    def issue(self, node: str) -> tuple[str, str]:
        return f"key of {node}", f"certificate of {node}"


def files() -> dict[str, File | Folder]:
    topology = load_topology("vpn")
    made = (
        *ipsec_files(topology, FOLDER, authority=Signer()),  # type: ignore[arg-type]
        *filter_files(topology, FOLDER),
    )
    return {str(Path(step.path).relative_to(FOLDER)): step for step in made}


def text(name: str) -> str:
    step = files()[name]
    assert isinstance(step, File)
    return step.content


def test_a_lab_without_ipsec_gets_none_of_it() -> None:
    plain = load_topology("default")
    assert ipsec_files(plain, FOLDER) == ()
    assert ipsec_processes(plain, FOLDER, lab="lab") == ()
    assert filter_files(plain, FOLDER) == ()
    assert rulesets(plain, FOLDER, lab="lab") == ()
    assert not needs_certificates(plain)


def test_every_end_has_a_charon_the_answerer_first() -> None:
    topology = load_topology("vpn")
    assert [node.name for node in protected_nodes(topology)] == ["lns", "home", "branch"]
    processes = ipsec_processes(topology, FOLDER, lab="lab")
    assert [process.netns for process in processes] == ["lab-lns", "lab-home", "lab-branch"]
    assert len({process.log for process in processes}) == 3


def test_no_secret_is_for_others_or_in_an_argument() -> None:
    for name, step in files().items():
        assert step.mode == (0o700 if isinstance(step, Folder) else 0o600), name
    arguments = " ".join(
        word
        for one in ipsec_processes(load_topology("vpn"), FOLDER, lab="lab")
        for word in one.argv
    )
    assert "horse" not in arguments


def test_the_lac_asks_and_the_lns_answers_from_anywhere() -> None:
    lac, lns = text("home.ipsec/swanctl.conf"), text("lns.ipsec/swanctl.conf")
    assert "remote_addrs = 198.51.100.2" in lac
    assert "start_action = trap" in lac
    assert "dpd_delay = 3s" in lac
    assert lns.count("remote_addrs = %any") == 2
    # A port of any number is not written at all (swanctl.conf(5)).
    assert lns.count("remote_ts = dynamic[udp]\n") == 2
    assert lns.count("local_ts = dynamic[udp/1701]\n") == 2
    assert "start_action = none" in lns
    assert lns.count("mode = transport") == 2
    # Y29y… is base64 of the key that both ends have; the branch's end has none.
    key = "secret = 0sY29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ=="
    assert (lac.count(key), lns.count(key)) == (1, 1)
    assert "secret" not in text("branch.ipsec/swanctl.conf").replace("secrets", "")


def test_each_node_has_its_own_key_and_nobody_elses() -> None:
    assert text("branch.ipsec/private/key.pem") == "key of branch"
    assert text("lns.ipsec/x509/node.pem") == "certificate of lns"
    assert text("lns.ipsec/x509ca/ca.pem") == "the authority's"
    assert "home.ipsec/private/key.pem" not in files()


def test_filters_guard_both_ends_and_translate_at_the_gateway() -> None:
    topology = load_topology("vpn")
    filters = rulesets(topology, FOLDER, lab="lab")
    assert {one.netns for one in filters} == {"lab-gateway", "lab-lns", "lab-home", "lab-branch"}
    assert all(Path(one.path).name in files() for one in filters)
    assert 'oifname "core" masquerade' in text("gateway.nft")
    assert "udp dport 1701 rt ipsec missing" in text("home.nft")
    assert "udp sport 1701 rt ipsec missing" in text("lns.nft")


def test_what_belongs_into_a_session_leaves_by_no_other_way() -> None:
    rules = text("home.nft").splitlines()
    dropped = rules.index("    ip daddr 203.0.113.0/24 counter drop")
    for passes in ("oiftype { ppp, loopback }", "meta l4proto esp", "ip daddr 192.168.1.0/24"):
        assert rules.index(f"    {passes} return") < dropped
    assert text("home.nft").count("jump users") == 2
    assert "chain users" not in text("lns.nft")


@pytest.mark.parametrize(("number", "between"), [(0, ["gateway", "core"]), (1, ["core"])])
def test_what_is_on_a_tunnels_way(number: int, between: list[str]) -> None:
    topology = load_topology("vpn")
    found = nodes_on_the_way(topology, topology.l2tp.tunnels[number])
    assert [node.name for node in found] == between


STATES = """\
src 192.168.1.2 dst 198.51.100.2
\tproto esp spi 0xc1d2e3f4 reqid 1 mode transport
\treplay-window 0
\taead rfc4106(gcm(aes)) 0x00 128
\tencap type espinudp sport 4500 dport 4500 addr 0.0.0.0
\tsel src 192.168.1.2/32 dst 198.51.100.2/32 proto udp
src 192.0.2.130 dst 198.51.100.2
\tproto esp spi 0x00000000 reqid 2 mode transport
\treplay-window 0
\tsel src 192.0.2.130/32 dst 198.51.100.2/32 proto udp
"""


def test_an_association_that_is_only_asked_for_does_not_count() -> None:
    (found,) = read_associations(STATES)
    assert (found.mode, found.in_udp, found.spi) == ("transport", True, "0xc1d2e3f4")
    assert str(found) == "192.168.1.2 to 198.51.100.2, transport, ESP in UDP"
