"""Dials what the topology says should be up, and waits until it is up, or gone, at both ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from l2tp.daemon.control import ControlError
from lab.instruments.kernelview import processes, routes_of, udp_sockets
from lab.running.changes import Changes
from lab.running.live import Live, SessionEnds
from lab.running.peers import dial
from lab.running.supervision import why_ended
from lab.waiting import wait_for

#: How long daemons, sessions and their ends may take, in seconds on an ordinary box.
_PATIENCE_S = 20.0

#: And what each session adds: two pppds that start on a box that may have one processor.
_PATIENCE_A_SESSION_S = 3.0

#: Events of a daemon's log whose cause says why there is no session.
_ENDING = ("DataPlaneFailed", "UserRefused", "SessionClosed")


def dial_missing(live: Live) -> None:
    """Place every call of the topology that is not there."""
    dial_peers(live)
    for tunnel in live.topology.l2tp.tunnels:
        if tunnel.lac in live.peers:
            continue
        with live.daemon(tunnel.lac) as daemon:
            there = set(_users(daemon.status()))
            for call in tunnel.calls:
                if call.user not in there:
                    daemon.call(tunnel=tunnel.name, user=call.user)


def dial_peers(live: Live) -> None:
    """Have each foreign LAC place those of its calls that its LNS does not have."""
    for tunnel in live.topology.l2tp.tunnels:
        if tunnel.lac in live.peers:
            there = set(_users(live.status(tunnel.lns)))
            if not there.issuperset(call.user for call in tunnel.calls):
                dial(live.folder, tunnel.lac, tunnel.name)


def _users(status: dict[str, Any]) -> Iterator[str]:
    for tunnel in status["tunnels"]:
        for session in tunnel["sessions"]:
            yield session["user"]


def wait_for_daemons(live: Live) -> None:
    """Wait until every daemon answers on its control socket, and a foreign one listens.

    Raises LabError with the last words of one that ended.
    """
    for node in live.ends:
        wait_for(
            partial(_listens if node in live.peers else _answers, live, node),
            f"an answer of the daemon on {node}",
            deadline_s=_PATIENCE_S,
            problem=partial(why_ended, live.folder, node, live.folder / node / "output.log"),
        )


def _answers(live: Live, node: str) -> bool:
    try:
        live.daemon(node).close()
    except ControlError:
        return False
    return True


def _listens(live: Live, node: str) -> bool:
    return bool(udp_sockets(live.netns(node), live.topology.l2tp.port))


def wait_for_sessions(live: Live, since_ns: int | None = None) -> list[SessionEnds]:
    """Wait until every call of the topology runs PPP at both ends, routes and addresses included.

    What ended after ``since_ns`` (CLOCK_MONOTONIC, by default after now) ends the wait.
    Raises LabError with the daemons' own cause when a tunnel or session ended instead.
    """
    wanted = sum(len(tunnel.calls) for tunnel in live.topology.l2tp.tunnels)
    begun_ns = time.monotonic_ns() if since_ns is None else since_ns
    status: dict[str, dict[str, Any]] = {}

    def look() -> list[SessionEnds] | None:
        status.update(live.statuses())
        ready = [ends for ends in live.sessions(status) if _is_ready(live, ends)]
        return ready if len(ready) == wanted else None

    def problem() -> str:
        causes = (cause for node in live.daemons for cause in _ended(node, status[node], begun_ns))
        return "; ".join((*causes, *_lost_calls(live, begun_ns)))

    with Changes(live) as changes:
        return wait_for(
            look,
            f"PPP on {wanted} session(s)",
            deadline_s=_PATIENCE_S + wanted * _PATIENCE_A_SESSION_S,
            problem=problem,
            pause=changes.pause,
        )


def _is_ready(live: Live, ends: SessionEnds) -> bool:
    ready = all(side["ppp"] is not None and side["ppp"]["ready"] for side in (ends.lac, ends.lns))
    if ready and ends.tunnel.lac in live.peers:
        # Ours says so when its routes are there, too; a foreign one's pppd adds them in a script.
        ready = set(ends.call.routes) <= routes_of(
            live.netns(ends.tunnel.lac), ends.lac["ppp"]["interface"]
        )
    return ready


def _ended(node: str, status: dict[str, Any], since_ns: int) -> Iterator[str]:
    for tunnel in status["ended"]:
        if tunnel["since_ns"] >= since_ns:
            name = f"tunnel {tunnel['local_tunnel_id']} to {tunnel['peer']}"
            yield f"{node}: {name} closed: {tunnel['cause']}"


def _lost_calls(live: Live, since_ns: int) -> Iterator[str]:
    """Say which calls of our LACs have ended: a topology has nobody call again."""
    for node in live.daemons:
        if live.topology.node(node).kind != "lac":
            continue
        with (live.folder / node / "log.jsonl").open() as log:
            records = [json.loads(line) for line in log if '"SessionClosed"' in line]
        for record in records:
            if record["event"] == "SessionClosed" and record["time_ns"] >= since_ns:
                ids = f"{record['local_tunnel_id']}/{record['local_session_id']}"
                yield f"{node}: session {ids} closed: {record['cause']}"


def wait_until_released(live: Live, node: str) -> None:
    """Wait until a daemon has let go of every tunnel, their retention (RFC 2661 §5.7) included.

    A foreign daemon ends its pppds after its tunnel, which is then waited for as well.
    """
    netns = live.netns(node)

    def look() -> bool:
        left = live.status(node)["tunnels"]
        return not left and (node not in live.peers or not processes(netns, "pppd"))

    with Changes(live) as changes:
        wait_for(
            look,
            f"the end of every tunnel on {node}",
            deadline_s=_PATIENCE_S,
            pause=changes.pause,
        )


def wait_for_session(live: Live, node: str, tunnel_id: int, session_id: int) -> dict[str, Any]:
    """Wait until a session that was just dialled carries PPP; return its status entry.

    Raises LabError with the daemon's own causes when it ended instead.
    """

    def find() -> dict[str, Any] | None:
        for tunnel in live.status(node)["tunnels"]:
            for session in tunnel["sessions"]:
                if (tunnel["local_tunnel_id"], session["local_session_id"]) == (
                    tunnel_id,
                    session_id,
                ):
                    return dict(session)
        return None

    def look() -> dict[str, Any] | None:
        session = find()
        return session if session and session["ppp"] and session["ppp"]["ready"] else None

    def problem() -> str:
        if find() is None:
            log = live.folder / node / "log.jsonl"
            return "; ".join(causes_in(log, tunnel_id, session_id)) or f"it has ended; see {log}"
        return ""

    what = f"PPP on session {tunnel_id}/{session_id} of {node}"
    with Changes(live) as changes:
        return wait_for(look, what, deadline_s=_PATIENCE_S, problem=problem, pause=changes.pause)


def causes_in(log: Path, tunnel_id: int, session_id: int) -> list[str]:
    """Return what a daemon's log says of why a session failed or ended, each cause once."""
    ids = {"local_tunnel_id": tunnel_id, "local_session_id": session_id}
    with log.open() as lines:
        records = [json.loads(line) for line in lines if any(f'"{e}"' in line for e in _ENDING)]
    return list(
        dict.fromkeys(
            record["cause"]
            for record in records
            if record["event"] in _ENDING and record["cause"] and record.items() >= ids.items()
        )
    )
