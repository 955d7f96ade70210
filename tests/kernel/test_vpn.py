"""L2TP inside IPsec: the topology vpn over strongSwan, and what is seen without IPsec."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.instruments.kernelview import processes
from lab.instruments.nftables import counted
from lab.network.plan import runtime_folder
from lab.running.packet_filters import GUARD, USERS
from tests.kernel.lab_support import run_lab

pytestmark = [pytest.mark.kernel, pytest.mark.long]

LAB = "vpn"
run = partial(run_lab, LAB)


def system_state() -> dict[str, Any]:
    """What strongSwan and nftables could leave on a box outside of a lab's namespaces."""
    told = {
        words: subprocess.run(words.split(), capture_output=True, text=True, check=True).stdout
        for words in ("ip xfrm state", "ip xfrm policy", "nft list tables", "ip netns list")
    }
    folders = ("/run", "/etc/swanctl", "/etc/strongswan.d", "/etc/ipsec.d")
    files = {folder: _listed(Path(folder)) for folder in folders}
    # The lab's own folder stays: other labs live there too.
    return {**told, **files, "/run": files["/run"] - {"l2tp-lab", "netns"}}


def _listed(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.fixture(scope="module")
def before() -> dict[str, Any]:
    run("down")
    return system_state()


@pytest.fixture(scope="module")
def live(before: dict[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        yield json.loads(run("up", "--topology", "vpn", "--json"))
    finally:
        run("down")


def check(*names: str, code: int = 0) -> dict[str, dict[str, Any]]:
    results = json.loads(run("check", *names, "--json", code=code))["results"]
    return {result["name"]: result for result in results}


@pytest.mark.rfc2661("9.2-packets")
def test_nothing_leaves_unencrypted_and_the_tunnels_live_and_die_with_ipsec(
    live: dict[str, Any],
) -> None:
    result = check("ipsec")["ipsec"]
    assert result["outcome"] == "pass"
    said = " ".join(one["asserts"] for one in result["observations"])
    for words in (
        *("ESP in UDP (NAT)", "plain ESP", "in fragments", "dead-peer", "would leave outside"),
        *("without a session", "its way was open", "a new call", "dead and alive: nothing but IKE"),
    ):
        assert words in said
    # home has another route than the session's, the default one: only the filter stops its users.
    assert counted(f"{LAB}-home", GUARD, USERS) > 0


def test_the_other_checks_hold_as_well(live: dict[str, Any]) -> None:
    results = check("ppp_up", "ping_through", "views")
    assert {name: result["outcome"] for name, result in results.items()} == {
        "ppp_up": "pass",
        "ping_through": "pass",
        "views": "pass",
    }


def test_each_charon_has_a_file_system_of_its_own(
    live: dict[str, Any], before: dict[str, Any]
) -> None:
    ours = Path("/proc/self/ns/mnt").readlink()
    views = set()
    for node in ("home", "branch", "lns"):
        (pid,) = processes(f"{LAB}-{node}", "charon-systemd")
        views.add(Path(f"/proc/{pid}/ns/mnt").readlink())
        seen = _listed(Path(f"/proc/{pid}/root/run"))
        assert {name for name in seen if not name.startswith("charon")} == {"l2tp-lab", "pppd"}
    assert ours not in views and len(views) == 3
    now = system_state()
    assert {key: now[key] for key in ("/run", "/etc/swanctl")} == {
        key: before[key] for key in ("/run", "/etc/swanctl")
    }


def inside(node: str, *words: str) -> None:
    subprocess.run(["ip", "netns", "exec", f"{LAB}-{node}", *words], check=True)


def test_the_check_fails_where_users_leave_by_another_way(live: dict[str, Any]) -> None:
    inside("home", "nft", "flush", "chain", "inet", GUARD, USERS)
    rules = runtime_folder(LAB) / "home.nft"
    try:
        result = check("ipsec", code=1)["ipsec"]
    finally:
        inside("home", "nft", "delete", "table", "inet", GUARD)
        inside("home", "nft", "-f", str(rules))
    wrong = [one["asserts"] for one in result["observations"] if not one["holds"]]
    assert wrong == ["dead and alive: nothing but IKE and ESP passed gateway"]


def test_the_check_fails_where_encryption_is_taken_away(live: dict[str, Any]) -> None:
    # The policies alone would not let L2TP out in the clear: the filter drops it then.
    for node in ("branch", "lns"):
        inside(node, "nft", "delete", "table", "inet", "l2tp_lab")
        inside(node, "ip", "xfrm", "policy", "flush")
        inside(node, "ip", "xfrm", "state", "flush")
    result = check("ipsec", code=1)["ipsec"]
    assert result["outcome"] == "fail"
    wrong = [one["asserts"] for one in result["observations"] if not one["holds"]]
    assert any("no L2TP in the clear" in one for one in wrong), wrong
    assert any("has an association in transport mode" in one for one in wrong), wrong


def test_down_leaves_nothing_of_strongswan(live: dict[str, Any], before: dict[str, Any]) -> None:
    run("down")
    assert system_state() == before
    for name in ("charon-systemd", "swanctl", "pppd", "radvd"):
        left = subprocess.run(["pgrep", "-a", name], capture_output=True, text=True, check=False)
        assert left.stdout == ""
