"""Brings a lab up from its topology: network, tracer, daemons, sessions, the first ping."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.console import Console
from lab.doctor.needs import require
from lab.errors import LabError
from lab.instruments.ping import ping
from lab.interpreters import daemon_python, tracer_python
from lab.network.builder import down, up
from lab.network.netns import KernelWorld
from lab.network.plan import File, Folder, make_plan, runtime_folder
from lab.running.daemons import daemon_files, daemon_processes, tracer_process
from lab.running.dialling import dial_peers, wait_for_daemons, wait_for_sessions
from lab.running.ipsec import (
    ipsec_files,
    ipsec_processes,
    needs_certificates,
)
from lab.running.live import Live, SessionEnds
from lab.running.packet_filters import filter_files, rulesets
from lab.running.peers import lab_peer_files, peer_processes
from lab.running.supervision import why_ended
from lab.topology import Topology
from lab.waiting import wait_for
from probes.errors import ProbeError

#: Written last: a lab without it was interrupted on its way up.
_UP = "up"
_PATIENCE_S = 10.0


def bring_up(lab: str, topology: Topology, console: Console) -> Live:
    """Make the whole lab, or nothing. What an interrupted run left of this lab goes first.

    Raises CannotRun when this box lacks what the topology needs.
    """
    require(topology)
    folder = runtime_folder(lab)
    if folder.exists():
        with console.step(f"remove what an interrupted run left of lab “{lab}”"):
            take_down(lab)
    plan = make_plan(
        topology,
        lab=lab,
        # First, because it takes longest and needs nothing of the rest.
        tracer=tracer_process(
            folder,
            calls=sum(len(tunnel.calls) for tunnel in topology.l2tp.tunnels),
            python=tracer_python(),
        ),
        files=(
            *daemon_files(topology, folder),
            *lab_peer_files(topology, folder),
            *_protection(topology, folder),
            *filter_files(topology, folder),
        ),
        rulesets=rulesets(topology, folder, lab=lab),
        processes=(
            *ipsec_processes(topology, folder, lab=lab, python=daemon_python()),
            # Before our LACs, which call at once; these call when they are told to.
            *peer_processes(topology, folder, lab=lab),
            *daemon_processes(topology, folder, lab=lab, python=daemon_python()),
        ),
    )
    with KernelWorld() as world:
        up(plan, world, narrate=console.step)
    live = Live.open(lab)
    try:
        _wait(live, console)
    except BaseException:
        keep_logs(live)
        take_down(lab)
        raise
    (folder / _UP).touch()
    return live


def _protection(topology: Topology, folder: Path) -> tuple[Folder | File, ...]:
    if not needs_certificates(topology):
        return ipsec_files(topology, folder)
    # Imported late: most labs need no certificate.
    from lab.running.certificates import Authority

    with Authority() as authority:
        return ipsec_files(topology, folder, authority=authority)


def is_up(lab: str) -> bool:
    """Tell whether a lab came up completely (whatever has become of it since)."""
    return (runtime_folder(lab) / _UP).exists()


def _wait(live: Live, console: Console) -> None:
    with console.step("daemons answer"):
        wait_for_daemons(live)
        dial_peers(live)
    with console.step("tunnels and PPP sessions"):
        sessions = wait_for_sessions(live, since_ns=0)
    with console.step("tracer attached"):
        wait_for(
            lambda: _tracer_answers(live),
            "an answer of the tracer",
            deadline_s=3 * _PATIENCE_S,  # it compiles first, where nothing of its is cached
            problem=lambda: why_ended(live.folder, "tracer", live.folder / "trace.log"),
        )
    with console.step("first ping through the tunnel"):
        _first_ping(live, sessions)


def _tracer_answers(live: Live) -> bool:
    try:
        with live.tracer as tracer:
            return bool(tracer.snapshot()["hooks"])
    except ProbeError:
        return False


def _first_ping(live: Live, sessions: list[SessionEnds]) -> None:
    for ends in sessions:
        for target in live.targets(ends):
            interface = ends.lac["ppp"]["interface"]
            answer = ping(live.netns(ends.tunnel.lac), target, count=1, interface=interface)
            if not answer.received:
                raise LabError(
                    f"{ends.tunnel.lac} got no answer from {target} through session "
                    f"{ends.lac['local_session_id']}. Look at: l2tp-lab status"
                )
            return


def kept_logs(lab: str) -> Path:
    """Return where the logs of a lab that did not come up are kept, until it is taken down."""
    return runtime_folder(lab).with_name(f"{lab}.failed")


def keep_logs(live: Live) -> None:
    """Keep the logs of a lab that did not come up, out of its own folder."""
    kept = kept_logs(live.lab)
    shutil.rmtree(kept, ignore_errors=True)
    for log in (*live.folder.glob("*.log"), *live.folder.glob("*/*.log*")):
        target = kept / log.relative_to(live.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(log, target)


def take_down(lab: str) -> int:
    """Remove all that the lab made, and nothing else; return how many objects that were.

    Raises LabError that names what could not be removed.
    """
    with KernelWorld() as world:
        downfall = down(runtime_folder(lab), world)
    if not downfall.complete:
        raise LabError("\n".join(downfall.notes))
    return downfall.count()
