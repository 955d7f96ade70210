"""The tracer's figures of one lab: its own namespaces only, named by node."""

from __future__ import annotations

from lab.instruments.kernelview import netns_inode
from lab.running.live import Live
from probes.snapshot import Snapshot


def node_names(live: Live) -> dict[int, str]:
    """Name the lab's nodes by their namespaces' inode numbers, as BPF knows them."""
    return {netns_inode(live.netns(node.name)): node.name for node in live.topology.nodes}


def of_lab(snapshot: Snapshot, names: dict[int, str]) -> Snapshot:
    """Keep the figures of the lab's own namespaces; hooks and losses concern everybody."""
    figures = [row for row in snapshot["figures"] if row["netns"] in names]
    return {**snapshot, "figures": figures}
