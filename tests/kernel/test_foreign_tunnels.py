"""Tracing without any lab: two xl2tpds and their pppds, in namespaces that nobody told us of."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.results.records import JOURNEY_LINE, TimelineRecord, TraceRecord
from tests.kernel.daemon_support import until
from tests.kernel.pythons import ENVIRONMENT, lab_command
from tests.kernel.xl2tpd_support import MixedNetwork, xl2tpd_lac, xl2tpd_lns

pytestmark = [pytest.mark.kernel, pytest.mark.long]


class Xl2tpds(MixedNetwork):
    """An xl2tpd at both ends."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, xl2tpd_lns())

    def dial(self) -> None:
        """Start the LNS, then the LAC, which dials; returns when both interfaces are there."""
        self.start_peer()
        self.peer, self.role = xl2tpd_lac(), "lac"
        self.home = self.folder / "lac" / "xl2tpd"
        self.start_peer()
        for role in ("lac", "lns"):
            until(lambda role=role: self._has_address(role), f"a ppp interface at the {role}")

    def _has_address(self, role: str) -> bool:
        return "inet " in self.run("ip", "-n", self.names[role], "addr", "show", "type", "ppp")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Xl2tpds]:
    with Xl2tpds(tmp_path_factory.mktemp("xl2tpds")) as network:
        network.dial()
        yield network
        for role in ("lac", "lns"):
            network.kill(role)


@contextmanager
def running(*words: str, stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        lab_command(*words),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


def trace(network: Xl2tpds, *words: str) -> dict[str, Any]:
    """Look twice at what a tracer of its own sees, with two pings in between; gives the last."""
    with running("trace", "--all", "--json", "--interval", "0.2", *words) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        network.ping("lac", "10.64.0.1")
        while True:
            last: dict[str, Any] = json.loads(process.stdout.readline())
            seen = sum(row["data_packets"] + row["tx_packets"] for row in last["figures"])
            if seen >= 4 or (words and last["time_ns"] - first["time_ns"] > 5e9):
                return last


def test_all_shows_tunnels_that_no_lab_made(network: Xl2tpds) -> None:
    found = trace(network)
    TraceRecord.model_validate(found)
    assert all(hook["attached"] for hook in found["hooks"])
    assert (found["lost_events"], found["not_reconciled"]) == (0, "")
    rows = [row for row in found["figures"] if row["session_id"]]
    names = {found["nodes"][str(row["netns"])] for row in rows}
    assert names == set(network.names.values())
    for row in rows:
        assert row["peer"] is not None
        assert row["registered_ns"] is None
        assert row["driver"]["agrees"]
        assert row["driver"]["older"]["rx_packets"] > 0


def test_rows_are_chosen_by_namespace_ids_direction_kind_and_verdict(network: Xl2tpds) -> None:
    everything = trace(network)
    lac = network.names["lac"]
    mine = next(
        row
        for row in everything["figures"]
        if row["session_id"] and everything["nodes"][str(row["netns"])] == lac
    )
    chosen = trace(
        network,
        *("--netns", lac, "--tunnel", str(mine["tunnel_id"])),
        *("--session", str(mine["session_id"])),
        *("--direction", "tx", "--kind", "data", "--verdict", "delivered"),
    )
    ids = ("netns", "tunnel_id", "session_id")
    assert [[row[name] for name in ids] for row in chosen["figures"]] == [
        [mine[name] for name in ids]
    ]
    assert trace(network, "--verdict", "outside_window")["figures"] == []


def test_a_journey_through_their_tunnel(network: Xl2tpds) -> None:
    with running("journey", "--all", "--json", "--protocol", "icmp", "--count", "4") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "ready"
        network.ping("lac", "10.64.0.1")
        lines = [json.loads(line) for line in process.stdout]
    for line in lines:
        JOURNEY_LINE.validate_python(line)
    journeys = [line for line in lines if line["kind"] == "journey"]
    assert len(journeys) == 4
    for journey in journeys:
        assert journey["end"]["verdict"] == "delivered"
        assert {hop["node"] for hop in journey["hops"] if hop["node"]} == set(
            network.names.values()
        )


def test_metrics_of_their_tunnel(network: Xl2tpds) -> None:
    with running("metrics", "--all") as process:
        output, _ = process.communicate(timeout=120)
    attached = [
        line for line in output.splitlines() if line.startswith("l2tp_probes_hook_attached")
    ]
    assert attached and all(line.endswith(" 1.0") for line in attached)


def test_a_timeline_of_a_tunnel_that_ends(network: Xl2tpds) -> None:
    with running("timeline", "--all", "--json", stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "watching" in process.stderr.readline()
        network.command_peer("d only\n")  # the LAC's xl2tpd hangs up
        lines = []
        for line in process.stdout:
            lines.append(TimelineRecord.model_validate_json(line))
            if {"session_freed", "tunnel_freed"} <= {one.event for one in lines}:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert {one.node for one in lines} == set(network.names.values())
    messages = {one.details["name"] for one in lines if one.event == "control_received"}
    assert messages & {"CDN", "StopCCN"}
    assert any(" = " in (one.tunnel or "") for one in lines), "both ends are one tunnel"
