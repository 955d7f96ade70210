"""A foreign daemon's tunnels and sessions in the form of our daemons' ``status``.

xl2tpd tells nobody what it has, so the kernel is asked: netlink for tunnels, sessions, interfaces
and addresses, ``/proc/net/pppol2tp`` for which interface is whose. What only a daemon knows (who
calls, the peer's name) is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any

from lab.instruments.kernelview import Interface, Session, Tunnel, interfaces, l2tp_objects
from lab.instruments.pppol2tp import ProcEntry, entries


def seen_status(netns: str, *, daemon: str, role: str, host_name: str) -> dict[str, Any]:
    """Ask the kernel what is in a namespace; ``daemon`` is whose it all is."""
    tunnels, sessions = l2tp_objects(netns)
    return {
        "daemon": daemon,
        "role": role,
        "host_name": host_name,
        "tunnels": status_of(tunnels, sessions, entries(netns), interfaces(netns, "ppp")),
        "dropped": {},
        "ended": [],
    }


def status_of(
    tunnels: Sequence[Tunnel],
    sessions: Sequence[Session],
    listed: Sequence[ProcEntry],
    ppp: Sequence[Interface],
) -> list[dict[str, Any]]:
    """Join what the kernel's views say, tunnel by tunnel."""
    names = {(one.tunnel_id, one.session_id): one.interface for one in listed}
    by_name = {one.name: one for one in ppp}
    return [
        {
            "local_tunnel_id": tunnel.tunnel_id,
            "peer_tunnel_id": tunnel.peer_tunnel_id,
            "name": None,
            # The driver knows a tunnel from the moment on in which its calls may come.
            "state": "established",
            "cause": None,
            "peer_host_name": None,
            "local": tunnel.local,
            "peer": tunnel.peer,
            "kernel": asdict(tunnel.statistics),
            "dropped": {},
            "sessions": [
                _session(session, names, by_name)
                for session in sessions
                if session.tunnel_id == tunnel.tunnel_id and session.session_id
            ],
        }
        for tunnel in tunnels
    ]


def _session(
    session: Session, names: Mapping[tuple[int, int], str | None], ppp: Mapping[str, Interface]
) -> dict[str, Any]:
    name = names.get((session.tunnel_id, session.session_id))
    interface = ppp.get(name or "")
    return {
        "local_session_id": session.session_id,
        "peer_session_id": session.peer_session_id,
        "state": "established",
        "data": None,
        "user": None,
        "ppp": _ppp(interface) if interface else None,
        "kernel": asdict(session.statistics),
        "call": None,
        "call_errors": None,
        "accm": None,
    }


def _ppp(interface: Interface) -> dict[str, Any]:
    found = {ip_address(address).version: address for address in reversed(interface.addresses)}
    return {
        "phase": "running" if 4 in found else "establish",
        "interface": interface.name,
        "local_ipv4": found.get(4),
        "peer_ipv4": None,
        "local_ipv6": found.get(6),
        "peer_ipv6": None,
        "dns": [],
        "mtu": interface.mtu,
        "ready": interface.is_up and found.keys() >= {4, 6},
    }


def complete_status(seen: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """Add to what was ``seen`` what its peer's daemon ``told``: who calls, the far addresses."""
    others = {
        (tunnel["peer_tunnel_id"], session["peer_session_id"]): session
        for tunnel in told["tunnels"]
        for session in tunnel["sessions"]
    }
    for tunnel in seen["tunnels"]:
        for session in tunnel["sessions"]:
            other = others.get((tunnel["local_tunnel_id"], session["local_session_id"]))
            if other is None:
                continue
            session["user"] = other["user"]
            if session["ppp"] and other["ppp"]:
                for family in ("ipv4", "ipv6"):
                    session["ppp"][f"peer_{family}"] = other["ppp"][f"local_{family}"]
