"""The whole lab over the real driver: up, every check, a broken lab that must fail, and down."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.checks import CHECKS, ONLY_FOR
from lab.interpreters import environment
from lab.results.records import JOURNEY_LINE, TimelineRecord, TraceRecord
from tests.kernel.lab_support import run_lab
from tests.kernel.pythons import ENVIRONMENT, lab_command

pytestmark = pytest.mark.kernel

LAB = "whole"
NETNS = Path("/run/netns")
_TROUBLE = re.compile(
    r"WARNING:|BUG:|Oops|general protection|refcount_t|unregister_netdevice: waiting|Call Trace"
)


run = partial(run_lab, LAB)


def kernel_log() -> list[str]:
    return subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def live() -> Iterator[dict[str, Any]]:
    run("down")
    try:
        yield json.loads(run("up", "--json"))
    finally:
        run("down")


def test_up_says_what_it_made_and_how_long_each_step_took(live: dict[str, Any]) -> None:
    assert {"lac", "lns"} == set(live["status"])
    assert {step["name"] for step in live["steps"]} >= {"namespaces", "tracer attached"}


@pytest.mark.parametrize("check", [name for name in CHECKS if name not in ONLY_FOR])
def test_check(live: dict[str, Any], check: str) -> None:
    (result,) = json.loads(run("check", check, "--json"))["results"]
    assert result["outcome"] == "pass"
    assert result["observations"]


@pytest.mark.parametrize("check", ONLY_FOR)
def test_a_check_that_is_not_about_this_lab_could_not_run(live: dict[str, Any], check: str) -> None:
    (result,) = json.loads(run("check", check, "--json", code=4))["results"]
    assert result["outcome"] not in ("pass", "fail")


def test_up_again_changes_nothing(live: dict[str, Any]) -> None:
    before = json.loads(run("status", "--json"))
    run("up")
    after = json.loads(run("status", "--json"))
    assert [row["local_tunnel_id"] for row in before["lac"]["tunnels"]] == [
        row["local_tunnel_id"] for row in after["lac"]["tunnels"]
    ]


def test_trace_names_nodes_and_shows_what_is_not_attached(live: dict[str, Any]) -> None:
    round_ = json.loads(run("trace", "--json", "--count", "1"))
    TraceRecord.model_validate(round_)
    assert all(row["driver"]["agrees"] for row in round_["figures"] if row["driver"])
    assert any(row["driver"] for row in round_["figures"])
    assert set(round_["nodes"].values()) == {"lac", "core", "lns", "inet"}
    assert {str(row["netns"]) for row in round_["figures"]} <= set(round_["nodes"])
    assert all(hook["attached"] for hook in round_["hooks"])


def follow(*words: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start `journey`, and give it with its first line: from then on packets are followed."""
    process = subprocess.Popen(
        lab_command("--lab", LAB, "journey", "--json", *words),
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def test_a_ping_is_a_journey_through_every_node(live: dict[str, Any], tmp_path: Path) -> None:
    capture = tmp_path / "journeys.pcapng"
    process, ready = follow("--protocol", "icmp", "--count", "2", "--output", str(capture))
    ping()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    lines = [ready, *map(json.loads, output.splitlines())]
    for line in lines:
        JOURNEY_LINE.validate_python(line)
    assert [line["kind"] for line in lines] == ["ready", "journey", "journey", "status"]
    assert [hook["name"] for hook in lines[-1]["hooks"] if not hook["attached"]] == []
    assert lines[-1]["lost_events"] == 0
    for journey, way in zip(
        lines[1:3], (["lac", "core", "lns"], ["lns", "core", "lac"]), strict=True
    ):
        assert journey["end"]["verdict"] == "delivered"
        nodes = [hop["node"] for hop in journey["hops"] if hop["node"]]
        assert list(dict.fromkeys(nodes)) == way
        assert [hop["time_ns"] for hop in journey["hops"]] == sorted(
            hop["time_ns"] for hop in journey["hops"]
        )
    assert_wireshark_reads(capture, lines[1])


def ping() -> None:
    words = ("ping", "-q", "-c", "1", "-W", "10", "203.0.113.2")
    subprocess.run(["ip", "netns", "exec", f"{LAB}-lac", *words], check=True, capture_output=True)


def assert_wireshark_reads(capture: Path, journey: dict[str, Any]) -> None:
    fields = ("frame.interface_name", "frame.comment", "frame.len", "l2tp.tunnel", "icmp.type")
    options = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", str(capture), "-T", "fields", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    of_journey = [row for row in rows if f"journey {journey['journey']}:" in row[1]]
    assert of_journey[0][0] == "lac ppp0"
    assert of_journey[-1][0] == "lns ppp0"
    assert {row[0].split()[0] for row in of_journey} == {"lac", "core", "lns"}
    assert all("verdict: delivered" in row[1] for row in of_journey)
    assert of_journey[0][2] == "84"
    assert all("8" in row[4] for row in of_journey), "every one of them is the echo request"
    tunnel = next(hop for hop in journey["hops"] if hop["hop"] == "l2tp_xmit_skb")
    on_the_wire = [row for row in of_journey if row[3]]
    assert {int(row[3], 0) for row in on_the_wire} == {tunnel["peer_tunnel_id"]}


def test_what_no_daemon_owns_is_found_and_shown(live: dict[str, Any]) -> None:
    status = json.loads(run("status", "--json"))
    assert [one["disagreements"] for one in status.values()] == [[], []]
    assert "daemons, netlink and /proc agree on 2 tunnel ends and 2 session ends" in run("status")
    ids = ("tunnel_id", "4711", "peer_tunnel_id", "4712", "encap", "udp")
    ends = ("local", "127.0.0.1", "remote", "127.0.0.1", "udp_sport", "5001", "udp_dport", "5002")
    inside = ("ip", "netns", "exec", f"{LAB}-core", "ip", "l2tp")
    subprocess.run([*inside, "add", "tunnel", *ids, *ends], check=True)
    try:
        (says,) = json.loads(run("status", "--json"))["core"]["disagreements"]
        assert says.startswith("no daemon owns it, netlink shows it")
        assert "core tunnel 4711: no daemon owns it" in run("status")
        run("check", "views", code=1)
    finally:
        subprocess.run([*inside, "del", "tunnel", "tunnel_id", "4711"], check=True)


ORPHANS = """\
from l2tp.kernel.pppox import PppoxTunnel, SessionOptions
from l2tp.kernel.udp import open_udp_socket
here, there = ("127.0.0.1", 5001), ("127.0.0.1", 5002)
udp = open_udp_socket(here, there)
tunnel = PppoxTunnel(udp.fileno(), 4713, 4714, there)
tunnel.open_session(7, 8, SessionOptions())
print("made", flush=True)
input()
"""


def test_sessions_that_somebody_made_beside_a_daemon_are_found(live: dict[str, Any]) -> None:
    """L2TPv2, which /proc lists as well, in the namespace of a daemon that has others."""
    inside = ("ip", "netns", "exec", f"{LAB}-lns", sys.executable, "-c", ORPHANS)
    with subprocess.Popen(
        inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == b"made\n"
        said = json.loads(run("status", "--json"))["lns"]["disagreements"]
        shown = run("status")
        maker.communicate(b"\n")
    assert len(said) == 2
    assert all(one.startswith("no daemon owns it, netlink and /proc shows it") for one in said)
    assert "lns tunnel 4713:" in shown and "lns session 4713/7:" in shown


@pytest.mark.long
def test_a_tunnel_that_the_kernel_lacks_is_found_and_shown(live: dict[str, Any]) -> None:
    """Somebody deletes it behind the daemon's back: control goes on, data does not."""
    (tunnel,) = json.loads(run("status", "--json"))["lns"]["tunnels"]
    number = str(tunnel["local_tunnel_id"])
    inside = ("ip", "netns", "exec", f"{LAB}-lns", "ip", "l2tp")
    subprocess.run([*inside, "del", "tunnel", "tunnel_id", number], check=True)
    says = json.loads(run("status", "--json"))["lns"]["disagreements"]
    assert "netlink does not show it, daemon does" in says
    assert f"lns tunnel {number}: netlink does not show it, daemon does" in run("status")
    run("check", "views", code=1)
    # The cure: the daemon lets go of what is no tunnel any more, and a call opens the next.
    run("hangup", "lns", number)
    assert re.search(r"\bppp\d+ ", run("call"))
    run("check", "views", "ping_through")


def test_debug_messages_of_one_session_are_switched_on_read_and_switched_off(
    live: dict[str, Any],
) -> None:
    (tunnel,) = json.loads(run("status", "--json"))["lac"]["tunnels"]
    tunnel_id, session = tunnel["local_tunnel_id"], tunnel["sessions"][0]
    ids = f"{tunnel_id}/{session['local_session_id']}"
    assert "lns" in run("debug", ids, "data", "on")
    run("check", "ping_through")
    *messages, filters = map(json.loads, run("debug", "--json").splitlines())
    assert {message["node"] for message in messages} == {"lac", "lns"}
    assert {message["category"] for message in messages} == {"data"}
    assert len(filters["filters"]) == 2
    assert "no debug messages are on" in run("debug", ids, "all", "off")
    run("debug", "1", "data", "on", code=2)
    run("debug", ids, code=2)


def test_a_call_and_a_hangup(live: dict[str, Any]) -> None:
    (tunnel,) = json.loads(run("status", "--json"))["lac"]["tunnels"]
    run("hangup", "lac", str(tunnel["local_tunnel_id"]))
    run("check", "ppp_up", code=1)
    assert re.search(r"\bppp\d+ ", run("call"))
    more = re.search(r"session (\d+/\d+) is up", run("call"))
    assert more
    # Two sessions with the same routes: a check cannot say which of them it is about.
    run("check", "ppp_up", code=2)
    run("hangup", "lac", more[1])
    run("check", "ppp_up")


def test_metrics_are_prometheus_text_of_every_session(live: dict[str, Any]) -> None:
    families = {family.name: family for family in text_string_to_metric_families(run("metrics"))}
    nodes = {sample.labels["node"] for sample in families["l2tp_rx_packets"].samples}
    assert nodes == {"lac", "lns"}
    attached = families["l2tp_probes_hook_attached"].samples
    assert attached and all(sample.value == 1 for sample in attached)


@pytest.mark.long
def test_metrics_are_served_to_who_has_the_token(live: dict[str, Any]) -> None:
    process = subprocess.Popen(
        lab_command("--lab", LAB, "metrics", "--serve", "--port", "0"),
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"(http://\S+/metrics), with the token in (\S+)", said)
        assert found, said
        url, token = found[1], Path(found[2])
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        bearer = {"Authorization": f"Bearer {token.read_text()}"}
        with urllib.request.urlopen(urllib.request.Request(url, headers=bearer)) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        agree = next(family for family in families if family.name == "l2tp_probes_reconciled")
        assert agree.samples and {sample.value for sample in agree.samples} == {1.0}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert not token.exists()


@pytest.mark.long
def test_a_timeline_goes_on_until_it_is_ended(live: dict[str, Any]) -> None:
    (tunnel,) = json.loads(run("status", "--json"))["lac"]["tunnels"]
    process = subprocess.Popen(
        lab_command("--lab", LAB, "timeline", "--follow", "--json"),
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    TimelineRecord.model_validate_json(process.stdout.readline())
    ids = f"{tunnel['local_tunnel_id']}/{tunnel['sessions'][0]['local_session_id']}"
    run("hangup", "lac", ids)
    lines = []
    for line in process.stdout:
        lines.append(TimelineRecord.model_validate_json(line))
        ended = {one.event for one in lines if one.source == "kernel"}
        if "session_deleted" in ended:
            break
    process.send_signal(signal.SIGINT)
    # By the same reader, which has read ahead.
    for line in process.stdout:
        TimelineRecord.model_validate_json(line)
    assert process.wait(timeout=120) == 0
    times = [one.time_ns for one in lines]
    assert times == sorted(times)
    run("call")


def test_the_timeline_joins_daemons_and_kernel(live: dict[str, Any]) -> None:
    # Of the tunnel dialled last: the probes have watched it from its beginning.
    ping()
    lines = [json.loads(line) for line in run("timeline", "--json").splitlines()]
    for line in lines:
        TimelineRecord.model_validate(line)
    assert [line["time_ns"] for line in lines] == sorted(line["time_ns"] for line in lines)
    tunnel = json.loads(run("status", "--json"))["lac"]["tunnels"][-1]
    ours = {tunnel["local_tunnel_id"], tunnel["peer_tunnel_id"]}
    names = {line["tunnel"] for line in lines if line["tunnel_id"] in ours}
    assert len(names) == 1, "both ends are one tunnel"
    (name,) = names
    told = [
        (line["source"], line["node"], line["event"]) for line in lines if line["tunnel"] == name
    ]
    for expected in (
        ("kernel", "lac", "tunnel_registered"),
        ("kernel", "lns", "tunnel_registered"),
        ("kernel", "lac", "session_registered"),
        ("kernel", "lns", "session_registered"),
        ("daemon", "lac", "TunnelEstablished"),
        ("daemon", "lns", "SessionEstablished"),
        ("pppd", "lac", "PppUp"),
        ("kernel", "lac", "first_packet_sent"),
        ("kernel", "lns", "first_packet_received"),
    ):
        assert expected in told
    sent = told.index(("kernel", "lac", "first_packet_sent"))
    assert told.index(("kernel", "lac", "session_registered")) < sent
    assert "SCCRQ" in run("timeline")
    assert "control_received" not in {event for _, _, event in told}


def test_the_run_folder_holds_everything(live: dict[str, Any], tmp_path: Path) -> None:
    run("check", "ppp_up", "--output", str(tmp_path), code=0)
    assert {path.name for path in tmp_path.iterdir()} >= {
        "run.json",
        "junit.xml",
        "results.ktap",
        "status.json",
        "trace.json",
        "timeline.jsonl",
        "dmesg.txt",
        "lac.jsonl",
        "lns.jsonl",
    }


def test_without_a_daemon_the_checks_fail_and_say_so(live: dict[str, Any]) -> None:
    status = json.loads(run("status", "--json"))
    os.kill(status["lac"]["pid"], signal.SIGKILL)
    output = run("check", "ppp_up", "counters", "--json", code=1)
    assert all(result["outcome"] == "fail" for result in json.loads(output)["results"])
    run("up", code=1)  # which starts no daemon again, and must not look as if it had


def test_down_leaves_nothing_and_works_twice(live: dict[str, Any]) -> None:
    run("down")
    assert not list(NETNS.glob(f"{LAB}-*"))
    assert not Path("/run/l2tp-lab", LAB).exists()
    left = subprocess.run(["pgrep", "-a", "pppd"], capture_output=True, text=True, check=False)
    assert left.stdout == ""
    run("down")


def test_the_kernel_log_is_clean() -> None:
    assert [line for line in kernel_log() if _TROUBLE.search(line)] == []


def test_a_foreign_namespace_is_left_alone_and_named() -> None:
    subprocess.run(["ip", "netns", "add", f"{LAB}-lns"], check=True)
    try:
        done = subprocess.run(
            lab_command("--lab", LAB, "up"),
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )
        assert done.returncode == 1
        assert f"{LAB}-lns" in done.stderr
        assert list(NETNS.glob(f"{LAB}-*")) == [NETNS / f"{LAB}-lns"]
    finally:
        subprocess.run(["ip", "netns", "del", f"{LAB}-lns"], check=True)
