"""What the daemons did not use, and which tunnels ended why, in lines of at most 79 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.pictures.width import folded

_NEWEST = 3
_WIDTH = 79


def dropped_lines(status: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which control datagrams each daemon dropped and why; ``status`` is by node."""
    for node, answer in status.items():
        if counts := answer.get("dropped"):
            yield from folded(f"{node} dropped {_counts(counts)}", _WIDTH)
        for tunnel in answer["tunnels"]:
            if counts := tunnel.get("dropped"):
                number = tunnel["local_tunnel_id"]
                told = f"{node}, of these on tunnel {number}: {_counts(counts)}"
                yield from folded(told, _WIDTH)


def ended_lines(status: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say why tunnels ended that are there no longer, each node's newest; ``status`` is by node."""
    for node, answer in status.items():
        there = {tunnel["local_tunnel_id"] for tunnel in answer["tunnels"]}
        gone = [one for one in answer.get("ended", ()) if one["local_tunnel_id"] not in there]
        for one in gone[-_NEWEST:]:
            peer = one["peer_host_name"] or one["peer"]
            tunnel = f"tunnel {one['local_tunnel_id']} to {peer}"
            yield from folded(f"{node}: {tunnel} ended: {one['cause']}", _WIDTH)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
