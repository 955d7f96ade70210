"""The topology “interop” as a whole lab: xl2tpd at one end of each tunnel, ours at the other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.checks import CHECKS, ONLY_FOR
from tests.kernel.lab_support import run_lab

pytestmark = [pytest.mark.kernel, pytest.mark.long]

LAB = "interop"
run = partial(run_lab, LAB)
FITTING = [name for name in CHECKS if name not in ONLY_FOR]


@pytest.fixture(scope="module")
def live() -> Iterator[dict[str, Any]]:
    run("down")
    try:
        yield json.loads(run("up", "--topology", "interop", "--json"))
    finally:
        run("down")


def test_the_kernel_tells_what_xl2tpd_has(live: dict[str, Any]) -> None:
    status = json.loads(run("status", "--json"))
    assert set(status) == {"lac", "xlac", "xlns", "lns"}
    assert [one["disagreements"] for one in status.values()] == [[], [], [], []]
    for theirs, ours, user in (("xlns", "lac", "alice"), ("xlac", "lns", "bob")):
        assert status[theirs]["daemon"] == "xl2tpd"
        (seen,), (told,) = status[theirs]["tunnels"], status[ours]["tunnels"]
        assert seen["local_tunnel_id"] == told["peer_tunnel_id"]
        assert seen["peer"] == told["local"]
        assert [one["user"] for one in seen["sessions"]] == [user]
    text = run("status")
    assert text.count("xl2tpd's") >= 4
    said = "of these 2 tunnel ends and 2 session ends belong to xl2tpd, which tells nobody"
    assert said in " ".join(text.split())


def test_the_trace_shows_all_four_ends(live: dict[str, Any]) -> None:
    round_ = json.loads(run("trace", "--json", "--count", "1"))
    sessions = {row["netns"] for row in round_["figures"] if row["session_id"]}
    named = {round_["nodes"][str(netns)] for netns in sessions}
    assert named == {"lac", "xlac", "xlns", "lns"}


@pytest.mark.parametrize("check", FITTING)
def test_check(live: dict[str, Any], check: str) -> None:
    (result,) = json.loads(run("check", check, "--json"))["results"]
    assert result["outcome"] == "pass"
    assert result["observations"]


def test_a_command_to_xl2tpd_names_whom_to_ask(live: dict[str, Any]) -> None:
    run("hello", "xlns", "1", code=2)
    run("hangup", "xlac", "1", code=2)


def test_nothing_is_left(live: dict[str, Any]) -> None:
    run("down")
    # Both have their files in their commands, and so have xl2tpd's pppds.
    search = ["pgrep", "-af", f"/run/l2tp-lab/{LAB}/"]
    left = subprocess.run(search, capture_output=True, text=True, check=False)
    assert left.stdout == ""
    assert not list(Path("/run/netns").glob(f"{LAB}-*"))
