"""A lab's network in a real kernel: what it is when up, and that nothing is left of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.errors import CannotRun, LabError
from lab.network.builder import Downfall, down, start, up
from lab.network.ledger import Ledger
from lab.network.namespaces import FOLDER, in_netns
from lab.network.netlink_messages import Sight, message_of
from lab.network.netlink_requests import AT_ONCE, NetworkError, Request, indices, send
from lab.network.netns import KernelWorld
from lab.network.plan import Address, Netem, Process, make_plan, runtime_folder
from lab.network.processes import MARK, Running, is_alive, start_ticks, stop_processes
from lab.topology import Impairment, Topology, load_topology, to_json

pytestmark = pytest.mark.kernel

CHILD = Path(__file__).with_name("netns_child.py")
ROOT = Path(__file__).parents[2]
RTMGRP_LINK = 1  # include/uapi/linux/rtnetlink.h
POINTS = 3


@cache
def default_topology() -> Topology:
    """Validating costs seconds in an emulated machine; once is enough."""
    return load_topology("default")


def ip(*words: str, netns: str | None = None) -> Any:
    prefix = ["ip", "-n", netns] if netns else ["ip"]
    output = subprocess.run([*prefix, "-j", *words], check=True, capture_output=True).stdout
    return json.loads(output or b"[]")


def names(lab: str) -> set[str]:
    return {path.name for path in FOLDER.glob(f"{lab}-*")} if FOLDER.exists() else set()


def marked(run: str) -> list[int]:
    needle = f"{MARK}={run}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if needle in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def assert_nothing_left(lab: str) -> None:
    assert names(lab) == set()
    assert f"/{lab}-" not in Path("/proc/self/mountinfo").read_text()
    folder = runtime_folder(lab)
    left = list(folder.parent.glob(f"*{lab}*")) if folder.parent.exists() else []
    assert left == []


def bring_down(lab: str) -> Downfall:
    with KernelWorld(patience_s=30) as world:
        return down(runtime_folder(lab), world)


def bring_up(lab: str, topology: Topology | None = None, *processes: Process) -> None:
    plan = make_plan(topology or default_topology(), lab=lab, processes=processes)
    with KernelWorld(patience_s=30) as world:
        up(plan, world)


@pytest.fixture
def lab() -> Iterator[str]:
    name = f"k{os.getpid() % 100000}"
    yield name
    bring_down(name)
    for left in names(name):
        subprocess.run(["ip", "netns", "del", left], check=False)
    assert_nothing_left(name)


def udp_answer(lab: str, sender: str, receiver: str, host: str) -> bytes:
    """Send a datagram from one node to another and back, by the kernel's own routes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    def bound() -> socket.socket:
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.settimeout(30)
        return one

    def listening() -> socket.socket:
        one = bound()
        one.bind((host, 4000))
        return one

    with (
        in_node(lab, receiver, listening) as server,
        in_node(lab, sender, bound) as client,
    ):
        client.sendto(b"there", (host, 4000))
        text, source = server.recvfrom(100)
        server.sendto(text + b" and back", source)
        return client.recv(100)


def in_node(lab: str, node: str, work: Any) -> Any:
    handle = os.open(FOLDER / f"{lab}-{node}", os.O_RDONLY)
    try:
        return in_netns(handle, work)
    finally:
        os.close(handle)


def test_the_default_network_is_what_the_topology_says(lab: str) -> None:
    topology = default_topology()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as monitor:
        monitor.bind((0, RTMGRP_LINK))
        monitor.setblocking(False)
        bring_up(lab, topology)
        # No link ever showed in the namespace that we are in, not even for a moment.
        with pytest.raises(BlockingIOError):
            monitor.recv(65536)
    for link in topology.links:
        for end in link.ends:
            (shown,) = ip("address", "show", "dev", end.interface, netns=f"{lab}-{end.node}")
            addresses = {f"{a['local']}/{a['prefixlen']}" for a in shown["addr_info"]}
            assert set(end.addresses) <= addresses
            assert shown["mtu"] == link.mtu
            assert {"UP", "LOWER_UP"} <= set(shown["flags"])
            assert not any(a.get("tentative") for a in shown["addr_info"])
    for node in topology.nodes:
        netns = f"{lab}-{node.name}"
        routes = [
            (route["dst"], route.get("gateway"))
            for version in ("-4", "-6")
            for route in ip(version, "route", netns=netns)
        ]
        for route in node.routes:
            assert (route.to, route.via) in routes
        forwarding = in_node(lab, node.name, read_forwarding)
        assert forwarding == ("1" if node.forwarding else "0")
    core = {route["dst"] for route in ip("-4", "route", netns=f"{lab}-core")}
    assert core == {"192.0.2.0/24", "198.51.100.0/24"}


def read_forwarding() -> str:
    return Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()


def test_packets_pass_at_once_over_both_ip_versions(lab: str) -> None:
    bring_up(lab)
    assert udp_answer(lab, "lac", "lns", "198.51.100.2") == b"there and back"
    assert udp_answer(lab, "lac", "lns", "2001:db8:2::2") == b"there and back"


def test_down_leaves_nothing_and_may_be_repeated(lab: str) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    bring_up(lab)
    assert len(names(lab)) == 4
    downfall = bring_down(lab)
    assert (downfall.complete, downfall.notes) == (True, ())
    assert_nothing_left(lab)
    assert bring_down(lab).removals == ()
    assert Path("/proc/self/mountinfo").read_text() == before


def test_two_labs_stand_beside_each_other(lab: str) -> None:
    other = f"{lab}x"
    try:
        bring_up(lab)
        bring_up(other)
        bring_down(lab)
        assert len(names(other)) == 4
        assert udp_answer(other, "lac", "lns", "198.51.100.2") == b"there and back"
    finally:
        bring_down(other)


def test_a_foreign_namespace_is_named_and_left_alone(lab: str) -> None:
    subprocess.run(["ip", "netns", "add", f"{lab}-lns"], check=True)
    with pytest.raises(LabError, match=f"{lab}-lns exists already"):
        bring_up(lab)
    assert names(lab) == {f"{lab}-lns"}
    assert not runtime_folder(lab).exists()


def test_a_namespace_that_took_our_name_is_left_alone(lab: str) -> None:
    bring_up(lab)
    subprocess.run(["ip", "netns", "del", f"{lab}-inet"], check=True)
    subprocess.run(["ip", "netns", "add", f"{lab}-inet"], check=True)
    theirs = (FOLDER / f"{lab}-inet").stat().st_ino

    downfall = bring_down(lab)

    assert names(lab) == {f"{lab}-inet"}
    assert (FOLDER / f"{lab}-inet").stat().st_ino == theirs
    assert any(f"{lab}-inet" in note for note in downfall.notes)


def test_whoever_is_inside_is_named_and_spared_but_the_links_go(lab: str) -> None:
    bring_up(lab)
    visitor = subprocess.Popen(["ip", "netns", "exec", f"{lab}-core", "sleep", "1000"])
    try:
        # The visitor is inside once it has become sleep.
        wanted = (FOLDER / f"{lab}-core").stat().st_ino
        while Path(f"/proc/{visitor.pid}/ns/net").stat().st_ino != wanted:
            assert visitor.poll() is None
        inside = os.open(f"/proc/{visitor.pid}/ns/net", os.O_RDONLY)
        downfall = bring_down(lab)
        assert any(f"(pid {visitor.pid})" in note for note in downfall.notes)
        assert visitor.poll() is None
        assert not {"lac", "lns"} & {name for _, name in in_netns(inside, socket.if_nameindex)}
        os.close(inside)
    finally:
        visitor.kill()
        visitor.wait()


def test_a_failing_up_leaves_nothing(lab: str) -> None:
    topology = default_topology()
    lns = replace(topology.node("lns"), sysctls=(("net.ipv4.ip_default_ttl", "no number"),))
    nodes = tuple(lns if node.name == "lns" else node for node in topology.nodes)
    with pytest.raises(LabError, match=r"ip_default_ttl=no number"):
        bring_up(lab, replace(topology, nodes=nodes))
    assert_nothing_left(lab)


def test_a_refused_route_is_named_with_the_kernels_reason(lab: str) -> None:
    topology = default_topology()
    inet = topology.node("inet")
    bad = replace(inet, routes=(replace(inet.routes[0], via="192.0.2.77"),))
    nodes = tuple(bad if node.name == "inet" else node for node in topology.nodes)
    with pytest.raises(
        LabError, match=r"-inet route add 10\.64\.0\.0/24 via 192\.0\.2\.77: Nexthop"
    ):
        bring_up(lab, replace(topology, nodes=nodes))
    assert_nothing_left(lab)


def test_a_process_lives_in_its_namespace_and_goes_with_all_it_started(lab: str) -> None:
    log = runtime_folder(lab) / "daemon.log"
    words = ("sh", "-c", "echo started; setsid sleep 1000 & exec sleep 1000")
    bring_up(lab, None, Process("daemon", f"{lab}-lac", words, str(log)))
    ledger = Ledger.open(runtime_folder(lab))
    (entry,) = [entry for entry in ledger.entries() if entry.kind == "process"]
    pid = entry.identity["pid"]
    inode = Path(f"/proc/{pid}/ns/net").stat().st_ino
    assert inode == (FOLDER / f"{lab}-lac").stat().st_ino
    assert os.getsid(pid) == pid
    while len(marked(ledger.header.run)) < 2:
        assert is_alive(Running(pid, entry.identity["start_ticks"]))
    assert log.read_text() == "started\n"

    with KernelWorld() as world:
        later = Process("later", f"{lab}-inet", ("sleep", "1000"), str(log))
        start(later, world, runtime_folder(lab))
    # A process in the middle of an exec has no environment to read, so this may take a moment.
    while len(marked(ledger.header.run)) < 3:
        assert is_alive(Running(pid, entry.identity["start_ticks"]))

    bring_down(lab)
    assert marked(ledger.header.run) == []


def test_a_program_that_is_not_there_is_named(lab: str) -> None:
    log = str(runtime_folder(lab) / "log")
    with pytest.raises(LabError, match="no program there-is-none"):
        bring_up(lab, None, Process("daemon", f"{lab}-lac", ("there-is-none",), log))
    assert_nothing_left(lab)


def test_a_process_that_took_the_pid_is_not_touched() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        ticks = start_ticks(process.pid)
        assert ticks is not None
        assert stop_processes([Running(process.pid, ticks - 1)], patience_s=1) == []
        assert is_alive(Running(process.pid, ticks))
        assert stop_processes([Running(process.pid, ticks)], patience_s=30) == []
        assert not is_alive(Running(process.pid, ticks))


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    words = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        ticks = start_ticks(process.pid)
        assert ticks is not None
        assert stop_processes([Running(process.pid, ticks)], patience_s=0.2) == []
        assert start_ticks(process.pid) is None


def test_impairments_are_what_tc_says(lab: str) -> None:
    try:
        bring_up(lab, load_topology("two-lacs"))
    except CannotRun as error:
        pytest.skip(str(error))
    shown = subprocess.run(
        ["tc", "-n", f"{lab}-far", "-j", "qdisc", "show", "dev", "core"],
        check=True,
        capture_output=True,
    ).stdout
    (netem,) = json.loads(shown)
    assert netem["kind"] == "netem"
    assert netem["options"]["delay"] == {"delay": 0.015, "jitter": 0.002, "correlation": 0}
    assert netem["options"]["loss-random"]["loss"] == pytest.approx(0.005, rel=1e-3)
    assert netem["options"]["rate"]["rate"] == 2_500_000  # bytes per second


def test_a_missing_queue_discipline_cannot_run(lab: str) -> None:
    bring_up(lab)
    handle = os.open(FOLDER / f"{lab}-lac", os.O_RDONLY)
    try:
        sight = Sight({}, indices(handle))
        message = message_of(Netem(f"{lab}-lac", "core", Impairment(delay_ms=1)), sight)
        message["attrs"] = [("TCA_KIND", "nonsense")]
        with pytest.raises(CannotRun, match=r"^as tc says: .*modprobe sch_netem"):
            send([Request("as tc says", message)], netns=handle)
    finally:
        os.close(handle)


def test_of_many_requests_the_first_refused_is_named_and_the_others_made(lab: str) -> None:
    bring_up(lab)
    handle = os.open(FOLDER / f"{lab}-core", os.O_RDONLY)
    try:
        sight, count = Sight({}, indices(handle)), 3 * AT_ONCE
        texts = [f"10.9.{number}.1/24" for number in range(count)]
        texts[-2] = texts[5] = "192.0.2.2/24"  # there already
        messages = [message_of(Address(f"{lab}-core", "lac", text), sight) for text in texts]
        first, last = messages[: AT_ONCE + 1], messages[AT_ONCE + 1 :]
        with pytest.raises(NetworkError, match=r"^number 5: .*(exists|assigned)"):
            send([Request(f"number {n}", m) for n, m in enumerate(first[:AT_ONCE])], netns=handle)
        with pytest.raises(NetworkError, match=rf"^number {len(last) - 2}: "):
            send([Request(f"number {n}", m) for n, m in enumerate(last)], netns=handle)
        (shown,) = ip("-4", "address", "show", "dev", "lac", netns=f"{lab}-core")
        # Its own address; all but number 5 of the first lot; all but one of the last.
        assert len(shown["addr_info"]) == 1 + (AT_ONCE - 1) + (len(last) - 1)
    finally:
        os.close(handle)


def run_child(verb: str, lab: str, kill_at: int, topology: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(CHILD), verb, lab, str(kill_at), str(topology)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def count_calls(verb: str, lab: str, topology: Path) -> int:
    code, output = run_child(verb, lab, 0, topology)
    assert code == 0, output
    return int(output)


def kill_points(total: int, points: int) -> list[int]:
    return sorted({1 + (total - 1) * number // (points - 1) for number in range(points)})


def check_killed(lab: str, points: int, topology: Path) -> None:
    topology.write_text(to_json(default_topology()))
    ups = count_calls("up", lab, topology)
    run = Ledger.open(runtime_folder(lab)).header.run
    downs = count_calls("down", lab, topology)
    assert marked(run) == []
    for kill_up, kill_down in zip(
        kill_points(ups, points), kill_points(downs, points), strict=True
    ):
        code, output = run_child("up", lab, kill_up, topology)
        assert code == -signal.SIGKILL, output
        runs = {line.header.run for line in open_ledgers(lab)}
        run_child(
            "down", lab, kill_down, topology
        )  # it may end before the kill: there is less to remove
        assert bring_down(lab).complete
        assert_nothing_left(lab)
        assert [marked(one) for one in runs] == [[] for _ in runs], (kill_up, kill_down)


def open_ledgers(lab: str) -> list[Ledger]:
    try:
        return [Ledger.open(runtime_folder(lab))]
    except FileNotFoundError:
        return []


def test_killed_at_several_points_nothing_is_left(lab: str, tmp_path: Path) -> None:
    check_killed(lab, POINTS, tmp_path / "topology.json")


@pytest.mark.long
def test_killed_at_many_points_nothing_is_left(lab: str, tmp_path: Path) -> None:
    check_killed(lab, 60, tmp_path / "topology.json")
