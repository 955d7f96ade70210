"""What the daemons did not use, and which tunnels ended why: a line for each that has any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_NEWEST = 3


def dropped_lines(status: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which control datagrams each daemon dropped and why; ``status`` is by node."""
    for node, answer in status.items():
        if counts := answer.get("dropped"):
            yield f"{node} dropped {_counts(counts)}"
        for tunnel in answer["tunnels"]:
            if counts := tunnel.get("dropped"):
                yield f"{node}, of these on tunnel {tunnel['local_tunnel_id']}: {_counts(counts)}"


def ended_lines(status: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say why tunnels ended that are there no longer, each node's newest; ``status`` is by node."""
    for node, answer in status.items():
        there = {tunnel["local_tunnel_id"] for tunnel in answer["tunnels"]}
        gone = [one for one in answer.get("ended", ()) if one["local_tunnel_id"] not in there]
        for one in gone[-_NEWEST:]:
            peer = one["peer_host_name"] or one["peer"]
            yield f"{node}: tunnel {one['local_tunnel_id']} to {peer} ended: {one['cause']}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
