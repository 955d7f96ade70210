"""What the daemons did not use: one line for each node and tunnel that has any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def dropped_lines(status: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which control datagrams each daemon dropped and why; ``status`` is by node."""
    for node, answer in status.items():
        if counts := answer.get("dropped"):
            yield f"{node} dropped {_counts(counts)}"
        for tunnel in answer["tunnels"]:
            if counts := tunnel.get("dropped"):
                yield f"{node}, of these on tunnel {tunnel['local_tunnel_id']}: {_counts(counts)}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
