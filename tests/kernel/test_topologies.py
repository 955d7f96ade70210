"""Topologies beside the default: many sessions, and what PPP gives when a topology says so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.instruments.kernelview import l2tp_objects, processes
from lab.topology import TOPOLOGIES
from tests.kernel.lab_support import run_lab

pytestmark = [pytest.mark.kernel, pytest.mark.long]

LAB = "topologies"
run = partial(run_lab, LAB)


@contextmanager
def up(*words: str) -> Iterator[dict[str, Any]]:
    run("down")
    try:
        yield json.loads(run("up", "--json", *words))
    finally:
        run("down")


def check(*names: str) -> dict[str, list[str]]:
    """Run checks that must pass, and give what each asserted."""
    results = json.loads(run("check", *names, "--json"))["results"]
    return {result["name"]: [o["asserts"] for o in result["observations"]] for result in results}


def test_many_sessions_in_several_tunnels() -> None:
    tunnels, sessions = 3, 3
    counts = ("--tunnels", str(tunnels), "--sessions", str(sessions))
    with up("--topology", "scale", *counts):
        for node in ("lac", "lns"):
            there, inside = l2tp_objects(f"{LAB}-{node}")
            assert len(there) == tunnels
            # Linux 6.1 lists a management socket as session 0.
            assert len([one for one in inside if one.session_id]) == tunnels * sessions
            assert len(processes(f"{LAB}-{node}", "pppd")) == tunnels * sessions
        said = check("ppp_up", "ping_through", "counters", "views", "teardown")
        pinged = {one.partition(":")[0] for one in said["ping_through"]}
        assert pinged == {f"user-{number}" for number in range(1, tunnels * sessions + 1)}
        shown = run("status").splitlines()
        assert max(map(len, shown)) < 80
        assert sum("more session" in line for line in shown) == tunnels
        assert "daemons, netlink and /proc agree on 6 tunnel ends and 18 session ends" in shown
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert LAB not in left.stdout


def changed(folder: Path, *pairs: tuple[str, str]) -> str:
    """Write the default topology with some of its text replaced; give the file's path."""
    text = (TOPOLOGIES / "default.yml").read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (folder / "changed.yml").write_text(text)
    return str(folder / "changed.yml")


PPP = "ppp: {mtu: 1458, auth: chap}"
OWN = 'ipv6: {prefix: "2001:db8:a::/64", address: "2001:db8:a::1"}'
ROUTES = 'routes: [203.0.113.0/24, "2001:db8:3::/64"]'


def test_an_own_address_a_prefix_and_name_servers(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        (PPP, "ppp: {mtu: 1400, mru: 1400, auth: mschap-v2, dns: [203.0.113.2, 10.64.0.1]}"),
        (OWN, 'ipv4: 10.64.0.77\n      ipv6: {prefix: "2001:db8:a::/64"}'),
    )
    with up("--topology", path):
        said = " ".join(check("ppp_up", "ping_through", "counters")["ppp_up"])
        assert "the user's own address 10.64.0.77" in said
        assert "formed an address of 2001:db8:a::/64" in said
        assert "name servers 203.0.113.2, 10.64.0.1" in said


@pytest.mark.parametrize(
    ("ppp", "user", "routes"),
    [
        ("ppp: {mtu: 576, auth: pap, ipv6: false}", "ipv4: 10.64.0.9", "routes: [203.0.113.0/24]"),
        ("ppp: {mtu: 1280, auth: chap, ipv4: false}", OWN, 'routes: ["2001:db8:3::/64"]'),
    ],
    ids=["ipv4", "ipv6"],
)
def test_one_family_alone(tmp_path: Path, ppp: str, user: str, routes: str) -> None:
    with up("--topology", changed(tmp_path, (PPP, ppp), (OWN, user), (ROUTES, routes))):
        check("ppp_up", "ping_through", "path_mtu", "counters")


def test_a_lac_beside_its_lns_over_ipv6_and_a_session_without_routes(tmp_path: Path) -> None:
    path = tmp_path / "neighbours.yml"
    path.write_text(
        "name: neighbours\n"
        "nodes: [{name: lac, kind: lac}, {name: lns, kind: lns}]\n"
        "links:\n"
        "  - ends: [lac, lns]\n"
        '    prefixes: ["2001:db8:1::/64"]\n'
        '    addresses: {lac: ["2001:db8:1::1"], lns: ["2001:db8:1::2"]}\n'
        "l2tp:\n"
        "  ppp: {mtu: 1438}\n"
        "  users: [{name: alice, password: wonderland}]\n"
        "  lns: [{node: lns, pool: 10.64.0.0/24, address: 10.64.0.1}]\n"
        "  tunnels: [{from: lac, to: lns, over: ipv6, calls: [{user: alice}]}]\n"
    )
    with up("--topology", str(path)):
        check("ppp_up", "ping_through", "path_mtu", "throughput", "counters")
