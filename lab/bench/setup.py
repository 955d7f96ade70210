"""Measures what setting a session up costs the daemons, beside xl2tpd's.

Run as root where the lab runs: ``python -m lab.bench.setup ROUNDS``. Our LAC and LNS, and xl2tpd as
both, in turn, in two namespaces over the real driver. Both have a first session, for which they
load what they need, and are quiet; then the LAC is asked for sessions one after the other, ours by
its control socket, xl2tpd by its control pipe. A session's cost is the CPU time that both daemons
take from then until they are quiet again, divided by how many more sessions there are in the kernel
at both ends. The work of pppd is nobody's: a program that only waits lies over it, in the daemons'
own view of the file system. What starting it costs a daemon is counted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from lab.bench.bringup import Figure
from lab.errors import LabError
from lab.instruments.pppol2tp import entries
from lab.network.builder import down, up
from lab.network.ledger import Ledger
from lab.network.netns import KernelWorld
from lab.network.plan import File, Folder, Process, make_plan, runtime_folder
from lab.running.daemons import daemon_files, daemon_processes
from lab.running.dialling import wait_for_daemons
from lab.running.live import Live
from lab.running.peers import dial, lab_peer_files, peer_processes
from lab.topology import (
    OUR_DAEMON,
    Call,
    End,
    L2tp,
    Link,
    LnsService,
    Node,
    Ppp,
    Topology,
    Tunnel,
    User,
    netns_name,
)
from lab.waiting import wait_for

LAB = "bench-setup"
SESSIONS = 25
_PATIENCE_S = 60.0
#: So many looks in a row, 0.02 s apart, at which neither daemon has done anything: it is over.
_QUIET_LOOKS = 50
_PPPD = "/usr/sbin/pppd"
#: Lays $1 over pppd for what is executed next, and for its children alone.
_COVERED = f'mount --bind "$1" {_PPPD} && shift && exec "$@"'
_STAND_IN = "#!/bin/sh\nexec sleep infinity\n"


@dataclass(frozen=True)
class Contestant:
    """Whose daemons are measured, and whether all sessions share one tunnel."""

    name: str
    daemon: str
    one_tunnel: bool


CONTESTANTS = (
    Contestant("ours, a tunnel for each session", OUR_DAEMON, one_tunnel=False),
    Contestant("xl2tpd, a tunnel for each session", "xl2tpd", one_tunnel=False),
    Contestant("ours, all sessions in one tunnel", OUR_DAEMON, one_tunnel=True),
)


def measure_setup(rounds: int) -> Iterator[Figure]:
    """Measure every contestant in turn, ``rounds`` times. Raises LabError."""
    costs: dict[str, list[float]] = {one.name: [] for one in CONTESTANTS}
    for _ in range(rounds):
        for one in CONTESTANTS:
            costs[one.name].append(_cpu_ns(one, SESSIONS + 1) / SESSIONS / 1e6)
    for name, values in costs.items():
        yield Figure(f"CPU of a session: {name}", tuple(values), "ms")


def topology_of(one: Contestant, count: int) -> Topology:
    """Lay out a LAC and an LNS on one wire, with so many sessions between them."""
    calls = (Call("alice"),) * count
    tunnels = [calls] if one.one_tunnel else [calls[:1]] * count
    names = {"lac": "192.0.2.1", "lns": "192.0.2.2"}
    first, second = (End(name, "up0", (f"{address}/24",)) for name, address in names.items())
    return Topology(
        name="setup",
        about="",
        nodes=tuple(Node(name, name, forwarding=False, daemon=one.daemon) for name in names),
        links=(Link((first, second), ("192.0.2.0/24",), 1500),),
        l2tp=L2tp(
            port=1701,
            ppp=Ppp(1458, "chap", 1458),
            users=(User("alice", "wonderland"),),
            lns=(LnsService("lns", "10.64.0.0/24", "10.64.0.1"),),
            tunnels=tuple(
                Tunnel(f"t{number}", "lac", "lns", names["lac"], names["lns"], calls=calls)
                for number, calls in enumerate(tunnels)
            ),
        ),
    )


def _cpu_ns(one: Contestant, count: int) -> int:
    """Return the CPU time that both daemons take to bring all sessions but the first up."""
    topology = topology_of(one, count)
    folder = runtime_folder(LAB)
    processes = [_covered(process, folder) for process in _processes(topology, folder)]
    plan = make_plan(topology, lab=LAB, files=_files(topology, folder), processes=tuple(processes))
    with KernelWorld() as world:
        down(folder, world)
        try:
            up(plan, world)
            live = Live.open(LAB)
            wait_for_daemons(live)
            pids = [_pid(folder, process.name) for process in processes]
            first, *others = _calls(live)
            first()
            _await_sessions(live, 1)
            before = _when_quiet(pids)
            for call in others:
                call()
            _await_sessions(live, count)
            return _when_quiet(pids) - before
        finally:
            down(folder, world)


def _calls(live: Live) -> list[Callable[[], object]]:
    """Say how each of the topology's calls is asked for."""
    return [
        partial(dial, live.folder, tunnel.lac, tunnel.name)
        if tunnel.lac in live.peers
        else partial(_ask, live, tunnel, call)
        for tunnel in live.topology.l2tp.tunnels
        for call in tunnel.calls
    ]


def _ask(live: Live, tunnel: Tunnel, call: Call) -> None:
    with live.daemon(tunnel.lac) as daemon:
        daemon.call(tunnel=tunnel.name, user=call.user)


def _await_sessions(live: Live, count: int) -> None:
    for node in live.ends:
        _await(partial(_has_sessions, node, count), f"{count} sessions of {node}")


def _await(look: Callable[[], bool], what: str) -> None:
    wait_for(look, what, deadline_s=_PATIENCE_S)


def _files(topology: Topology, folder: Path) -> tuple[Folder | File, ...]:
    ours = (_waiting(step) for step in daemon_files(topology, folder))
    stand_in = File(str(folder / "pppd"), _STAND_IN, 0o755)
    return (stand_in, *ours, *lab_peer_files(topology, folder))


def _waiting(step: Folder | File) -> Folder | File:
    """Have our LAC open no tunnel before it is asked to."""
    if isinstance(step, File) and step.path.endswith("config.toml"):
        content = step.content.replace("[[tunnel]]\n", "[[tunnel]]\nat_start = false\n")
        return replace(step, content=content)
    return step


def _processes(topology: Topology, folder: Path) -> tuple[Process, ...]:
    return (
        *daemon_processes(topology, folder, lab=LAB),
        *peer_processes(topology, folder, lab=LAB),
    )


def _covered(process: Process, folder: Path) -> Process:
    words = ("unshare", "-m", "sh", "-c", _COVERED, "sh", str(folder / "pppd"))
    return replace(process, argv=(*words, *process.argv))


def _has_sessions(node: str, count: int) -> bool:
    return sum(bool(entry.session_id) for entry in entries(netns_name(LAB, node))) >= count


def _pid(folder: Path, name: str) -> int:
    for entry in Ledger.open(folder).entries():
        if entry.kind == "process" and entry.step["name"] == name:
            return int(entry.identity["pid"])
    raise LabError(f"the ledger in {folder} knows no process {name}")


def _when_quiet(pids: list[int]) -> int:
    spent: list[int] = []

    def look() -> bool:
        spent.append(sum(cpu_ns(pid) for pid in pids))
        return len(spent) > _QUIET_LOOKS and spent[-1] == spent[-_QUIET_LOOKS]

    _await(look, "a quiet moment of both daemons")
    return spent[-1]


def cpu_ns(pid: int) -> int:
    """Read what CPU time a process itself has taken, its children not (proc(5), schedstat)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
    except FileNotFoundError as error:
        raise LabError(f"{error.filename} is not there: has the daemon ended?") from error


def main(rounds: int) -> None:
    """Measure so many times, and print the figures as JSON."""
    print(json.dumps([asdict(figure) for figure in measure_setup(rounds)]))


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except LabError as error:
        sys.exit(str(error))
