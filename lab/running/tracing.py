"""Where figures come from: the tracer of a running lab, or one of our own for every namespace."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.errors import CannotRun
from lab.instruments.kernelview import netns_inode
from lab.interpreters import environment, tracer_python
from lab.running.ending import end_with_parent, in_good_order
from lab.running.live import Live
from probes.client import TraceClient
from probes.figures.snapshot import Snapshot
from probes.figures.table import netns_names


def node_names(live: Live) -> dict[int, str]:
    """Name the lab's nodes by their namespaces' inode numbers, as BPF knows them."""
    return {netns_inode(live.netns(node.name)): node.name for node in live.topology.nodes}


def of_lab(snapshot: Snapshot, names: dict[int, str]) -> Snapshot:
    """Keep the figures of the lab's own namespaces; hooks and losses concern everybody."""
    figures = [row for row in snapshot["figures"] if row["netns"] in names]
    return {**snapshot, "figures": figures}


def as_record(snapshot: Snapshot, names: Mapping[int, str]) -> dict[str, Any]:
    """Give a snapshot as a line of ``trace --json`` has it (docs/trace.md)."""
    return {**snapshot, "nodes": {str(inode): node for inode, node in names.items()}}


class Source:
    """Figures, and the names of the namespaces they are of.

    only_named: leave out namespaces without a name. The kernel measures the probes' own cost for
    as long as the figures are looked at.
    """

    def __init__(
        self, client: TraceClient, names: Callable[[], dict[int, str]], *, only_named: bool
    ) -> None:
        self.client = client
        self._names = names
        self._only_named = only_named

    def names(self) -> dict[int, str]:
        """Name namespaces by their inode numbers, as they are now."""
        return self._names()

    def snapshot(self) -> Snapshot:
        """Read every figure that belongs here."""
        snapshot = self.client.snapshot()
        return of_lab(snapshot, self._names()) if self._only_named else snapshot


@contextmanager
def of_running_lab(lab: str, *, measure: bool = True) -> Iterator[Source]:
    """Give the figures of a running lab; ``measure``: and what the probes cost meanwhile."""
    live = Live.open(lab)
    names = node_names(live)
    with live.tracer as client:
        if measure:
            client.measure_costs(True)
        try:
            yield Source(client, lambda: names, only_named=True)
        finally:
            if measure:
                client.measure_costs(False)


@contextmanager
def of_everybody(one_in: int = 1, *, moments: bool = False) -> Iterator[Source]:
    """Attach a tracer of our own for as long as it is looked at; no lab needs to run.

    ``one_in``: let it count one packet in so many. ``moments``: let it keep what happens to tunnels
    and sessions.
    Raises CannotRun with the tracer's own words when it cannot be attached.
    """
    with in_good_order(), tempfile.TemporaryDirectory(prefix="l2tp-lab-trace-") as folder:
        path = Path(folder) / "trace.sock"
        options = ["--cache", str(Path(folder) / "bpf"), "--one-in", str(one_in)]
        options += ["--moments"] if moments else []
        tracer = subprocess.Popen(
            [tracer_python(), "-m", "probes", "serve", "--socket", str(path), *options],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,  # the terminal's Ctrl-C is for us; we end it when we have read
            preexec_fn=end_with_parent,
        )
        try:
            _await_ready(tracer)
            with TraceClient(path) as client:
                if not moments:
                    client.measure_costs(True)
                yield Source(client, netns_names, only_named=False)
        finally:
            tracer.terminate()
            tracer.wait()
            if tracer.stderr is not None:
                tracer.stderr.close()


def _await_ready(tracer: subprocess.Popen[str]) -> None:
    said: list[str] = []
    for line in tracer.stderr or ():
        if "answering at" in line:
            return
        said.append(line)
    raise CannotRun("the tracer has ended, and said:\n" + "".join(said[-5:]).rstrip())
