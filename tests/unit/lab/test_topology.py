"""Topologies: what is read, what is refused and how, and what is kept."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import UsageError
from lab.topology import (
    TOPOLOGIES,
    Counts,
    Impairment,
    from_json,
    load_topology,
    sealed_text,
    to_json,
    topology_path,
)
from lab.topology.check import TopologyError, check_topology
from lab.topology.paths import find_path

ERRORS = Path(__file__).parents[2] / "golden" / "topology-errors"
SHIPPED = sorted(path.stem for path in TOPOLOGIES.glob("*.yml"))


@pytest.mark.parametrize("case", sorted(path.stem for path in ERRORS.glob("*.yml")))
def test_every_error_is_reported_at_once_with_its_line(case: str) -> None:
    golden = ERRORS / f"{case}.txt"
    with pytest.raises(TopologyError) as caught:
        check_topology(ERRORS / f"{case}.yml", shown_as=f"{case}.yml")
    written = f"{caught.value}\n"
    if os.environ.get("L2TP_LAB_GOLDEN") == "write":
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_sealed_form_is_what_validating_gives(name: str) -> None:
    path = TOPOLOGIES / f"{name}.yml"
    sealed = path.with_suffix(".json")
    if os.environ.get("L2TP_LAB_GOLDEN") == "write":
        sealed.write_text(sealed_text(path), encoding="utf-8")
    assert sealed.read_text(encoding="utf-8") == sealed_text(path), (
        "renew it: L2TP_LAB_GOLDEN=write pytest tests/unit/lab/test_topology.py"
    )
    assert load_topology(name) == check_topology(path)


def test_a_sealed_form_of_another_file_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.topology.TOPOLOGIES", tmp_path)
    text = (TOPOLOGIES / "default.yml").read_text()
    (tmp_path / "default.json").write_text((TOPOLOGIES / "default.json").read_text())
    (tmp_path / "default.yml").write_text(text.replace("mtu: 1458", "mtu: 1400"))
    assert load_topology("default").l2tp.ppp.mtu == 1400


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_topologies_are_sound_and_survive_json(name: str) -> None:
    topology = load_topology(name)
    assert topology.name == name
    assert from_json(to_json(topology)) == topology


def test_counts_become_tunnels_calls_and_users() -> None:
    l2tp = load_topology("scale").l2tp
    assert [tunnel.name for tunnel in l2tp.tunnels] == [f"lac-lns-{n}" for n in range(1, 5)]
    callers = [call.user for tunnel in l2tp.tunnels for call in tunnel.calls]
    assert callers == [f"user-{n}" for n in range(1, 33)]
    assert [user.name for user in l2tp.users] == callers
    assert {user.password for user in l2tp.users} == {"one for all"}


def test_other_counts_can_be_asked_for() -> None:
    l2tp = load_topology("scale", counts=Counts(tunnels=2, sessions=3)).l2tp
    assert [len(tunnel.calls) for tunnel in l2tp.tunnels] == [3, 3]
    assert len(l2tp.users) == 6
    one = load_topology("scale", counts=Counts(tunnels=1)).l2tp
    assert [len(tunnel.calls) for tunnel in one.tunnels] == [8]


@pytest.mark.parametrize(
    ("name", "counts", "message"),
    [
        ("default", Counts(tunnels=2), "no tunnel of this topology has a count"),
        ("default", Counts(sessions=2), "no call of this topology has a count"),
        ("scale", Counts(tunnels=0), r"scale.yml:\d+: .*count: 0 is too small"),
        ("scale", Counts(sessions=900), "3600 calls come to lns"),
    ],
)
def test_counts_that_do_not_fit_are_refused(name: str, counts: Counts, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_topology(name, counts=counts)


def test_the_default_is_what_the_documents_say() -> None:
    topology = load_topology()
    tunnel = topology.l2tp.tunnels[0]
    assert [node.name for node in topology.nodes] == ["lac", "core", "lns", "inet"]
    assert (tunnel.lac_address, tunnel.lns_address) == ("192.0.2.1", "198.51.100.2")
    assert topology.links[0].end_of("lac").interface == "core"
    assert all(end.impairment is None for link in topology.links for end in link.ends)
    core = topology.node("core")
    assert (core.forwarding, core.routes) == (True, ())
    assert topology.address_of("inet", 6) == "2001:db8:3::2"


def test_impairments_and_json_of_another_version(tmp_path: Path) -> None:
    far = load_topology("two-lacs").links[1].end_of("far")
    assert far.impairment == Impairment(delay_ms=15, jitter_ms=2, loss_percent=0.5, rate_kbit=20000)
    with pytest.raises(UsageError, match="l2tp-lab down"):
        from_json('{"format": 0}')


def test_several_links_between_two_nodes_get_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "twice.yml"
    path.write_text(
        "name: twice\n"
        "nodes: [{name: a, kind: host}, {name: b, kind: host}]\n"
        "links:\n"
        "  - {ends: [a, b], prefixes: [10.1.0.0/24], addresses: {a: [10.1.0.1], b: [10.1.0.2]}}\n"
        "  - {ends: [b, a], prefixes: [10.2.0.0/24], addresses: {a: [10.2.0.1], b: [10.2.0.2]}}\n"
    )
    links = check_topology(path).links
    assert [[end.interface for end in link.ends] for link in links] == [["b", "a"], ["a2", "b2"]]
    assert links[1].end_of("a").addresses == ("10.2.0.1/24",)


def test_a_topology_is_found_by_name_and_by_path() -> None:
    assert topology_path("default") == TOPOLOGIES / "default.yml"
    assert topology_path(str(TOPOLOGIES / "default.yml")) == TOPOLOGIES / "default.yml"
    for missing in ("nowhere", "./nowhere.yml"):
        with pytest.raises(UsageError, match="default, interop, scale, two-lacs"):
            topology_path(missing)


@pytest.mark.parametrize("lab", ["", "Lab", "a b", "-a", "x" * 33, "../a"])
def test_a_lab_name_that_fits_no_namespace_is_refused(lab: str) -> None:
    with pytest.raises(UsageError, match="--lab"):
        load_topology(lab=lab)


def test_an_unknown_node_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r'no node "cor"; its nodes are lac, core, lns, inet'):
        load_topology().node("cor")


@settings(deadline=None)
@given(st.text(max_size=300))
def test_whatever_a_file_holds_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(TopologyError):
        check_topology(path)


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)
FIELDS = [
    ("nodes",),
    ("links",),
    ("l2tp",),
    ("nodes", 0),
    ("links", 0),
    ("links", 0, "addresses"),
    ("links", 0, "addresses", "lac"),
    ("l2tp", "lns"),
    ("l2tp", "tunnels", 0),
    ("l2tp", "tunnels", 0, "calls"),
    ("l2tp", "users", 0, "ipv6"),
]


@settings(deadline=None)
@given(place=st.sampled_from(FIELDS), tree=TREES)
def test_a_wrong_field_anywhere_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str | int, ...], tree: object
) -> None:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    data = yaml.load(topology_path("default").read_text())
    inner = data
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = tree
    path = tmp_path_factory.getbasetemp() / "field.yml"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(data, file)
    try:
        check_topology(path)
    except TopologyError as error:
        assert all(line.startswith(f"{path}:") for line in str(error).splitlines())


def test_a_way_is_a_shortest_one() -> None:
    links = load_topology().links
    joined = [replace_ends(link) for link in links]
    assert len(find_path(joined, "lac", "inet")) == 3
    assert find_path(joined, "lac", "nowhere") == []
    assert find_path(joined, "lac", "lac") == []


class Joined:
    def __init__(self, *ends: str) -> None:
        self.ends = ends


def replace_ends(link: object) -> Joined:
    first, second = link.ends  # type: ignore[attr-defined]
    return Joined(first.node, second.node)


def test_json_keeps_what_is_not_in_the_default() -> None:
    topology = load_topology("two-lacs")
    changed = replace(topology, about="ü — “quoted”")
    assert from_json(to_json(changed)) == changed
