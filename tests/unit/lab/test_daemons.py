"""The daemons' configuration, as the daemons themselves read it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lab
from l2tp.config.load import DaemonConfig, load_config
from lab.network.plan import File, Folder
from lab.running.daemons import daemon_files, daemon_nodes, daemon_processes, tracer_process
from lab.running.toml_text import toml_text
from lab.topology import Topology, load_topology


def configured(topology: Topology, folder: Path) -> dict[str, DaemonConfig]:
    for step in daemon_files(topology, folder):
        if isinstance(step, Folder):
            Path(step.path).mkdir(mode=step.mode)
        elif isinstance(step, File):
            Path(step.path).write_text(step.content, encoding="utf-8")
            Path(step.path).chmod(step.mode)
    return {
        node.name: load_config(folder / node.name / "config.toml", node.kind)
        for node in daemon_nodes(topology)
    }


def test_the_default_is_read_by_both_daemons(tmp_path: Path) -> None:
    configs = configured(load_topology("default"), tmp_path)
    (tunnel,) = configs["lac"].tunnels
    assert (str(tunnel.local), str(tunnel.peer)) == ("192.0.2.1:1701", "198.51.100.2:1701")
    (call,) = tunnel.calls
    assert call.user == "alice"
    assert call.routes == ("203.0.113.0/24", "2001:db8:3::/64")
    assert call.addresses == ("2001:db8:a::1/64",)
    lns = configs["lns"].lns
    assert lns is not None
    (listen,) = configs["lns"].listen
    assert str(listen.address) == "198.51.100.2:1701"
    assert (str(lns.local_ipv4), str(lns.pool)) == ("10.64.0.1", "10.64.0.0/24")
    assert lns.users["alice"].routes == ("2001:db8:a::/64",)
    assert configs["lns"].ppp.mtu == configs["lns"].ppp.mru == 1458
    assert configs["lns"].state_folder == tmp_path / "lns"


def test_a_larger_topology_is_read_by_all_daemons(tmp_path: Path) -> None:
    configs = configured(load_topology("two-lacs"), tmp_path)
    assert list(configs) == ["lns", "near", "far"]
    first, second = configs["near"].tunnels
    assert (first.local.port, second.local.port) == (1701, 0)
    assert first.secret == second.secret == b"between us"
    assert configs["far"].tunnels[0].secret is None
    assert configs["lns"].endpoint.secrets == {"near": b"between us"}
    lns = configs["lns"].lns
    assert lns is not None
    assert sorted(lns.users) == ["alice", "bob", "carol", "dave"]
    assert configs["lns"].credentials.users["dave"] == '"quoted" \\ word'


def test_an_lns_listens_wherever_its_tunnels_come(tmp_path: Path) -> None:
    text = (Path(lab.__file__).parent / "topologies" / "default.yml").read_text()
    path = tmp_path / "both.yml"
    text = text.replace("mtu: 1458", "mtu: 1438")  # what is left inside IPv6
    path.write_text(f"{text.rstrip()}\n    - {{name: six, from: lac, to: lns, over: ipv6}}\n")
    configs = configured(load_topology(str(path)), tmp_path)
    assert [one.address.host for one in configs["lns"].listen] == ["198.51.100.2", "2001:db8:2::2"]
    assert [one.peer.host for one in configs["lac"].tunnels] == ["198.51.100.2", "2001:db8:2::2"]


def test_what_ppp_can_do_is_in_reach_of_a_topology(tmp_path: Path) -> None:
    text = (Path(lab.__file__).parent / "topologies" / "default.yml").read_text()
    path = tmp_path / "rich.yml"
    for old, new in (
        (
            "ppp: {mtu: 1458, auth: chap}",
            "ppp: {mtu: 1400, mru: 1402, auth: mschap-v2, dns: [10.64.0.1], idle_timeout_s: 60,"
            " session_timeout_s: 600, echo_interval_s: 5, echo_failures: 2}",
        ),
        (
            'ipv6: {prefix: "2001:db8:a::/64", address: "2001:db8:a::1"}',
            'ipv4: 10.64.0.77\n      ipv6: {prefix: "2001:db8:a::/64"}',
        ),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    configs = configured(load_topology(str(path)), tmp_path)
    ppp, lns = configs["lns"].ppp, configs["lns"].lns
    assert lns is not None
    assert (ppp.mtu, ppp.mru, ppp.authentication, ppp.dns) == (
        1400,
        1402,
        "mschap-v2",
        ("10.64.0.1",),
    )
    assert (ppp.idle_timeout_s, ppp.session_timeout_s) == (60, 600)
    assert (ppp.echo_interval_s, ppp.echo_failures) == (5, 2)
    alice = lns.users["alice"]
    assert (str(alice.ipv4), alice.ipv6_prefix, alice.routes) == (
        "10.64.0.77",
        "2001:db8:a::/64",
        (),
    )
    (call,) = configs["lac"].tunnels[0].calls
    assert call.addresses == ()
    assert configs["lac"].ppp.session_timeout_s == 0


def test_one_family_alone_is_told_to_both_ends(tmp_path: Path) -> None:
    configs = configured(load_topology("scale"), tmp_path)
    assert [config.ppp.families for config in configs.values()] == [{"ipv4"}, {"ipv4"}]
    assert [tunnel.local.port for tunnel in configs["lac"].tunnels] == [1701, 0, 0, 0]


def test_many_pppds_get_more_time_to_start(tmp_path: Path) -> None:
    lac = configured(load_topology("scale"), tmp_path)["lac"]
    assert lac.ppp.setup_timeout_s == 60 + 10 * 32
    assert "lcp-max-configure 320" in lac.ppp.extra
    assert lac.endpoint.session_setup_timeout_s == 60 + 10 * 32


def test_nobody_learns_a_secret_that_is_not_theirs(tmp_path: Path) -> None:
    configs = configured(load_topology("two-lacs"), tmp_path)
    assert sorted(configs["far"].credentials.users) == ["dave"]
    assert configs["far"].credentials.tunnels == {}
    assert sorted(configs["near"].credentials.users) == ["alice", "bob", "carol"]


def test_how_they_are_started(tmp_path: Path) -> None:
    lns, lac = daemon_processes(load_topology("default"), tmp_path, lab="t1", python="python3")
    assert (lns.name, lns.netns, lac.netns) == ("lns", "t1-lns", "t1-lac")
    config = str(tmp_path / "lac" / "config.toml")
    assert lac.argv == ("python3", "-m", "l2tp", "lac", "--config", config)
    tracer = tracer_process(tmp_path)
    assert tracer.netns is None
    assert tracer.argv[-4:-2] == ("--socket", str(tmp_path / "trace.sock"))


@pytest.mark.parametrize(("calls", "room"), [(0, 1024), (64, 1024), (100, 1600), (1000, 4096)])
def test_a_tracer_has_room_for_many_times_the_sessions_of_its_lab(
    tmp_path: Path, calls: int, room: int
) -> None:
    assert tracer_process(tmp_path, calls=calls).argv[-2:] == ("--max-figures", str(room))


SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
TABLES = st.recursive(
    st.dictionaries(st.text(), SCALARS | st.lists(SCALARS, max_size=3), max_size=3),
    lambda inner: st.dictionaries(
        st.text(), SCALARS | inner | st.lists(inner, min_size=1, max_size=2), max_size=3
    ),
    max_leaves=6,
)


@given(TABLES)
def test_whatever_is_written_is_read_back(table: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(table)) == table  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x7f", "\x00", "ü", "\U0001f600", "a.b"])
def test_awkward_words_survive(text: str) -> None:
    assert tomllib.loads(toml_text({"key": text, text: {"key": 1}}))["key"] == text
