"""A timeline as it is or goes on: the logs of a lab's daemons, and what a tracer keeps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.running.live import Live
from lab.running.tracing import node_names
from lab.timeline import Record, Timeline
from probes.client import TraceClient
from probes.hooks.state import missed_lines

# Each source is complete up to the moment it was asked; lines younger than that wait a turn,
# so that a later answer cannot bring an earlier line.
_SETTLED_NS = 1_500_000_000


@dataclass(frozen=True)
class Sources:
    """Where a timeline is read from: a tracer, and the logs of daemons by node.

    ``names`` names namespaces by inode number; with ``only_named`` others are left out.
    """

    tracer: TraceClient
    names: Callable[[], dict[int, str]]
    logs: Mapping[str, Path] = field(default_factory=dict)
    only_named: bool = True


def of_live(live: Live) -> Sources:
    """Read a running lab."""
    names = node_names(live)
    logs = {node: live.folder / node / "log.jsonl" for node in live.daemons}
    return Sources(live.tracer, lambda: names, logs)


class LabTimeline:
    """Reads on from where it was. Raises ProbeError when the tracer does not answer.

    ``honesty`` says after each reading what the kernel's part lacks.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._nodes = sources.names()
        self._timeline = Timeline(self._nodes, time.time_ns() - time.monotonic_ns())
        self._offsets: dict[Path, int] = {}
        self._after = 0
        self._early = 0
        self._waiting: list[Record] = []
        self.honesty: list[str] = []

    def read(self) -> list[Record]:
        """Give all that has been told since the last reading."""
        # The tracer first: a message that a daemon logs has passed the kernel before.
        with self._sources.tracer as tracer:
            answer = tracer.moments(self._after)
        self._after = answer["following"]
        self.honesty = _honesty(answer)
        self._nodes.update(self._sources.names())
        named = self._sources.only_named
        moments = [r for r in answer["moments"] if r["netns"] in self._nodes or not named]
        # A node without a log has a daemon that tells nothing: its messages come from the kernel.
        logs = {
            node: list(self._new_lines(log))
            for node, log in self._sources.logs.items()
            if log.exists()
        }
        records = self._timeline.join(logs, moments)
        early = sum(record["time_ns"] < answer["since_ns"] for record in records)
        self._early += early
        if self._early:
            self.honesty.append(
                f"the kernel is in it from {answer['since_ns'] / 1e9:.6f} s of its clock on, when"
                f" the probes were attached: the first {self._early} lines are older"
            )
        return records

    def not_seen(self) -> list[Record]:
        """Say the same as a last line of the timeline; nothing when all was seen."""
        if not self.honesty:
            return []
        now = {"time_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        ids = dict.fromkeys(
            ("tunnel", "tunnel_id", "session_id", "peer_tunnel_id", "peer_session_id")
        )
        says = {"event": "not_seen", "says": "; ".join(self.honesty), "details": {}}
        return [{**now, "node": "", "netns": None, **ids, "source": "kernel", **says}]

    def settled(self) -> list[Record]:
        """The same, without the youngest: for who prints as it goes."""
        self._waiting += self.read()
        self._waiting.sort(key=lambda record: int(record["time_ns"]))
        limit = time.monotonic_ns() - _SETTLED_NS
        count = sum(record["time_ns"] <= limit for record in self._waiting)
        settled, self._waiting = self._waiting[:count], self._waiting[count:]
        return settled

    def _new_lines(self, path: Path) -> Iterator[Record]:
        with path.open("rb") as log:
            log.seek(self._offsets.get(path, 0))
            for line in log:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._offsets[path] = self._offsets.get(path, 0) + len(line)
                yield json.loads(line)


def _honesty(answer: Any) -> list[str]:
    lines = [
        f"not attached: {hook['name']}: hides {hook['hides']}"
        for hook in answer["hooks"]
        if not hook["attached"]
    ]
    lines += missed_lines(answer["hooks"])
    for count, what in (
        (answer["lost"], "moments for which the buffer had no room"),
        (answer["forgotten"], "moments that the tracer keeps no longer"),
    ):
        if count:
            lines.append(f"lost: {count} {what}")
    return lines
