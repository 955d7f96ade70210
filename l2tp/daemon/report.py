"""The answer to "status": what the events told, what PPP is doing, what the kernel counted."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from l2tp import VERSION
from l2tp.kernel.udp import path_mtu
from l2tp.log import plain
from l2tp.ppp.overhead import tunnel_overhead
from l2tp.protocol.errors import KernelError

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon
    from l2tp.daemon.view import SessionView, TunnelView
    from l2tp.ppp.sessions import Session
    from l2tp.protocol.values import Accm, CallErrors


def status(daemon: Daemon) -> dict[str, Any]:
    """Describe a daemon, its tunnels and their sessions, as plain data."""
    config = daemon.config
    return {
        "role": config.role,
        "host_name": config.endpoint.host_name,
        "pid": os.getpid(),
        "version": VERSION,
        "listening": [str(address) for address in daemon.sockets.listening],
        "tunnels": [_tunnel(daemon, tunnel) for tunnel in daemon.view.tunnels.values()],
        "dropped": {str(reason): count for reason, count in daemon.endpoint.dropped.items()},
        # What a full disk kept out of log.jsonl, and why: null while it takes records.
        "log": {"lost_records": daemon.log.lost_records, "failure": daemon.log.failure},
        "ended": [_ended(tunnel) for tunnel in daemon.view.ended],
    }


def _ended(tunnel: TunnelView) -> dict[str, Any]:
    """Say how a tunnel ended, also when nothing else of it is left (the newest stands last)."""
    return {
        "local_tunnel_id": tunnel.local_tunnel_id,
        "peer": str(tunnel.peer),
        "peer_host_name": tunnel.peer_host_name,
        "cause": tunnel.cause,
        "since_ns": tunnel.since_ns,
    }


def _tunnel(daemon: Daemon, tunnel: TunnelView) -> dict[str, Any]:
    udp = daemon.sockets.find(tunnel.local_tunnel_id)
    return {
        "local_tunnel_id": tunnel.local_tunnel_id,
        "peer_tunnel_id": tunnel.peer_tunnel_id,
        "name": daemon.role.tunnel_name(tunnel.local_tunnel_id),
        "state": tunnel.state,
        "cause": tunnel.cause,
        "peer_host_name": tunnel.peer_host_name,
        "local": str(udp.local) if udp else None,
        "peer": str(tunnel.peer),
        "since_ns": tunnel.since_ns,
        "kernel": _statistics(daemon, tunnel.local_tunnel_id),
        "dropped": dict(tunnel.dropped),
        "sessions": [
            _session(daemon, tunnel.local_tunnel_id, session)
            for session in tunnel.sessions.values()
        ],
    }


def _session(daemon: Daemon, local_tunnel_id: int, view: SessionView) -> dict[str, Any]:
    ids = local_tunnel_id, view.local_session_id
    session = daemon.sessions.find(*ids)
    user = session.ppp.user if session else None
    info = daemon.endpoint.describe_session(*ids)
    return {
        "local_session_id": view.local_session_id,
        "peer_session_id": view.peer_session_id,
        "state": view.state,
        "data": dataclasses.asdict(session.data) if session else None,
        "user": user or daemon.role.user_of(*ids),
        "ppp": _ppp(session, daemon.config.ppp.mtu, inner_mtu(daemon, local_tunnel_id))
        if session
        else None,
        "kernel": _statistics(daemon, *ids),
        # What the control messages said of it: numbers, speeds, proxies, the newest WEN and SLI.
        "call": plain(info.call) if info else None,
        "call_errors": _counted(info.call_errors if info else None),
        "accm": _counted(info.accm if info else None),
    }


def _counted(value: CallErrors | Accm | None) -> dict[str, int] | None:
    return value._asdict() if value else None


def _ppp(session: Session, mtu: int, room: int | None) -> dict[str, Any]:
    ppp = session.ppp
    return {
        "phase": str(ppp.phase),
        "pid": session.pppd.pid,
        "interface": ppp.interface,
        "unit": ppp.unit,
        "local_ipv4": ppp.local_ipv4,
        "peer_ipv4": ppp.peer_ipv4,
        "local_ipv6": ppp.local_ipv6,
        "peer_ipv6": ppp.peer_ipv6,
        "dns": list(ppp.dns),
        "mtu": mtu,
        "unfragmented_mtu": room,
        "ready": session.ready,
    }


def inner_mtu(daemon: Daemon, local_tunnel_id: int) -> int | None:
    """Return the largest packet, in octets, that a tunnel's sessions carry unfragmented."""
    tunnel = daemon.sockets.find(local_tunnel_id)
    mtu = path_mtu(tunnel.udp) if tunnel else None
    if tunnel is None or mtu is None:
        return None
    version = 6 if ":" in tunnel.local.host else 4
    return mtu - tunnel_overhead(version, numbered=daemon.config.data.send_sequence)


def _statistics(
    daemon: Daemon, local_tunnel_id: int, local_session_id: int | None = None
) -> dict[str, int] | None:
    """Read counters; None for what the kernel does not have (yet, or any more)."""
    try:
        return dataclasses.asdict(daemon.plane.statistics(local_tunnel_id, local_session_id))
    except KernelError:
        return None
