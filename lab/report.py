"""What a lab shows when it is up: its picture, its sessions, the verdicts, the time, what next."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from l2tp.protocol.errors import L2tpError
from lab.console import Step
from lab.interpreters import path_line
from lab.pictures.width import folded
from lab.results import Result
from lab.results.writers import as_json as results_as_json
from lab.results.writers import text
from lab.running.live import Live
from lab.spelling import command
from lab.topology import Topology
from probes.figures.table import ends_text

if TYPE_CHECKING:
    from lab.running.views import Views

_WIDTH = 79


def picture(topology: Topology, status: Mapping[str, Any]) -> str:
    """Draw the topology with its tunnels, and the table of tunnels and sessions below it."""
    from lab.pictures.tables import tunnel_table
    from lab.pictures.topology import draw

    return f"{draw(topology, status)}\n{tunnel_table(status)}"


def views_text(views: Views) -> str:
    """Say whether the daemons and the kernel agree, and what they do not agree on."""
    if views.disagreements:
        wrong = (folded(f"  ✗ {one}", _WIDTH, "    ") for one in views.disagreements)
        return "\n".join(("not agreed:", *(line for lines in wrong for line in lines)))
    told = "".join(
        f"; of these {ends_text(*ends)} belong to {daemon}, which tells nobody"
        for daemon, ends in views.foreign.items()
        if any(ends)
    )
    ends = ends_text(views.tunnels, views.sessions)
    return "\n".join(folded(f"daemons, netlink and /proc agree on {ends}{told}", _WIDTH))


def closing_words(live: Live, results: Sequence[Result], steps: Sequence[Step]) -> str:
    """Compose what ``l2tp-lab up`` ends with."""
    status, trouble = _status(live)
    parts = [f"no picture: {trouble}" if status is None else picture(live.topology, status)]
    if results:
        parts.append(text(results))
    parts.append("\n".join(_steps(steps)))
    parts.append("\n".join(_next(live)))
    return "\n\n".join(part.rstrip() for part in parts)


def as_json(live: Live, results: Sequence[Result], steps: Sequence[Step]) -> str:
    """Write the same as one JSON document."""
    status, trouble = _status(live)
    document = {
        "lab": live.lab,
        "status": status,
        "trouble": trouble,
        "checks": json.loads(results_as_json(results)) if results else None,
        "steps": [asdict(step) for step in steps],
    }
    return json.dumps(document, indent=1)


def _status(live: Live) -> tuple[dict[str, Any] | None, str | None]:
    """Ask the daemons, or say why one does not answer: the checks' verdicts are shown anyway."""
    try:
        return live.statuses(), None
    except L2tpError as error:
        return None, str(error)


def _next(live: Live) -> Iterator[str]:
    node, target = _something_to_try(live)
    rows = [
        (command("trace", live.lab), "what the driver does, per tunnel, live"),
        (command(f"shell {node}", live.lab), f"a shell in a node: ping {target}"),
        (command("check", live.lab), "all checks again, with what each saw"),
        (command("down", live.lab), "remove the lab, and nothing else"),
    ]
    width = max(22, *(len(line) + 1 for line, _ in rows))
    if export := path_line():
        yield f"first, so that this shell finds l2tp-lab:\n  {export}\n"
    for line, what in rows:
        yield f"  {line:<{width}} {what}"


def _something_to_try(live: Live) -> tuple[str, str]:
    """Name a node, and an address that it reaches through a tunnel, if its routes say one."""
    for tunnel in live.topology.l2tp.tunnels:
        for call in tunnel.calls:
            for host in live.hosts(call):
                return tunnel.lac, host
    return live.topology.l2tp.tunnels[0].lac, "its peer"


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    total = sum(step.duration_s for step in steps)
    yield "what it took"
    for step in steps:
        yield f"  {step.name:<58} {step.duration_s:7.2f} s"
    yield f"  {'together':<58} {total:7.2f} s"
