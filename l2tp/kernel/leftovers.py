"""Tunnels that a dead process left in the kernel, found and removed by iproute2 (netlink).

Closing its UDP socket removes a tunnel, so a dead process leaves one only where somebody else
holds that socket still: a child, a supervisor, a debugger.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from l2tp.protocol.parameters import Address

if TYPE_CHECKING:
    from subprocess import CompletedProcess

_TIMEOUT_S: Final = 30


class KernelTunnel(NamedTuple):
    """What tells a tunnel from all others: both ids, both ends."""

    local_tunnel_id: int
    peer_tunnel_id: int
    local: Address
    peer: Address


def remove_tunnels(wanted: list[KernelTunnel]) -> list[KernelTunnel]:
    """Remove those of the wanted tunnels that this network namespace has; returns them.

    One that has the id of a wanted tunnel and anything else otherwise is somebody else's.
    """
    there = {_tunnel(entry) for entry in _show_tunnels()}
    removed = []
    for tunnel in wanted:
        if tunnel in there:
            command = ("del", "tunnel", "tunnel_id", str(tunnel.local_tunnel_id))
            if _ip(*command).returncode == 0:
                removed.append(tunnel)
    return removed


def _show_tunnels() -> list[dict[str, Any]]:
    shown = _ip("show", "tunnel")
    if shown.returncode or not shown.stdout.strip():
        return []  # no driver, no tunnels
    entries: list[dict[str, Any]] = json.loads(shown.stdout)
    return entries


def _tunnel(entry: dict[str, Any]) -> KernelTunnel:
    return KernelTunnel(
        int(entry.get("tunnel_id", 0)),
        int(entry.get("peer_tunnel", 0)),
        Address(str(entry.get("local")), int(entry.get("local_port", 0))),
        Address(str(entry.get("peer")), int(entry.get("peer_port", 0))),
    )


def _ip(*words: str) -> CompletedProcess[str]:
    # Seldom needed, and imported before a daemon listens.
    import subprocess

    argv = ["ip", "-json", "l2tp", *words]
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(argv, 1, "", str(error))
