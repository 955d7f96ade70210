"""Runs scenarios against the live lab, and keeps what each came to."""

from __future__ import annotations

import importlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, cast

from l2tp.protocol.errors import L2tpError
from lab.console import Console
from lab.errors import CannotRun, LabError, MachineLost, UsageError
from lab.results import Outcome, Result
from lab.running.live import Live, SessionEnds
from lab.scenarios.finding import Finding
from lab.spelling import command
from lab.topology import Topology
from probes.errors import ProbeError

#: The checks, in the order in which they run; the last takes the tunnels down and dials again.
CHECKS = (
    "ppp_up",
    "ping_through",
    "path_mtu",
    "throughput",
    "counters",
    "views",
    "ipsec",
    "teardown",
)

#: What a topology must have for a check to be about it; all others are about every lab.
ONLY_FOR: Mapping[str, Callable[[Topology], bool]] = {
    "ipsec": lambda topology: any(tunnel.ipsec for tunnel in topology.l2tp.tunnels),
}


class Scenario(Protocol):
    """A file of lab/scenarios."""

    QUESTION: str

    def run(self, live: Live) -> Iterator[Finding]:
        """Do the steps, and say what was seen."""


#: What a scenario may raise, and what that makes of its check.
_OUTCOMES: tuple[tuple[type[Exception], Outcome], ...] = (
    (MachineLost, Outcome.LOST),
    (CannotRun, Outcome.CANNOT_RUN),
    (LabError, Outcome.FAIL),
    (L2tpError, Outcome.FAIL),
    (ProbeError, Outcome.FAIL),
    (subprocess.TimeoutExpired, Outcome.FAIL),
)


def select(names: Sequence[str]) -> list[str]:
    """Return the checks of those names, in the order of running; all when none is named.

    Raises UsageError that lists the checks there are.
    """
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        raise UsageError(f"there is no check “{unknown[0]}”; the checks are {', '.join(CHECKS)}")
    return [name for name in CHECKS if not names or name in names]


def run_checks(live: Live, names: Sequence[str], console: Console) -> list[Result]:
    """Run checks one after the other, each a step on the console.

    Those that are not about this lab are left out, unless no other was asked for. Raises UsageError
    when sessions are up that the topology does not ask for.
    """
    _refuse_more_sessions(live)
    results = []
    fitting = [n for n in names if n not in ONLY_FOR or ONLY_FOR[n](live.topology)]
    for name in fitting or names:
        scenario = cast(Scenario, importlib.import_module(f"lab.scenarios.{name}"))
        result = run_scenario(name, scenario, live)
        results.append(result)
        console.note(f"check {name}", result.duration_s, result.reason)
    return results


def _refuse_more_sessions(live: Live) -> None:
    """Of two sessions with the same routes no check can say which one its pings take."""
    try:
        more = live.dialled_by_hand()
    except (LabError, L2tpError):
        return  # a check says what became of the daemon
    if not more:
        return
    named = [" ".join(_end_of_ours(live, ends)) for ends in more]
    raise UsageError(
        f"the checks are about the sessions that the topology dials, and {len(more)} more "
        f"{'is' if len(more) == 1 else 'are'} up: {', '.join(named)}. Hang up first: "
        + "; ".join(command(f"hangup {name}", live.lab) for name in named)
    )


def _end_of_ours(live: Live, ends: SessionEnds) -> tuple[str, str]:
    """Name a session where it can be hung up: a foreign daemon takes no word of ours."""
    node, tunnel, session = ends.tunnel.lac, ends.lac_tunnel, ends.lac
    if node in live.peers:
        node, tunnel, session = ends.tunnel.lns, ends.lns_tunnel, ends.lns
    return node, f"{tunnel['local_tunnel_id']}/{session['local_session_id']}"


def run_scenario(name: str, scenario: Scenario, live: Live) -> Result:
    """Run one scenario to its end, or to where it broke off."""
    started = time.monotonic()
    findings: list[Finding] = []
    try:
        # One by one, so that what was seen before an error is kept.
        for finding in scenario.run(live):
            findings.append(finding)
    except tuple(kind for kind, _ in _OUTCOMES) as error:
        outcome = next(outcome for kind, outcome in _OUTCOMES if isinstance(error, kind))
        return Result.broken_off(
            name,
            scenario.QUESTION,
            findings,
            outcome=outcome,
            reason=str(error),
            duration_s=time.monotonic() - started,
        )
    return Result.of(name, scenario.QUESTION, findings, duration_s=time.monotonic() - started)
