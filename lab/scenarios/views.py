"""Do the daemons, netlink and /proc say the same of every tunnel and session?"""

from __future__ import annotations

from collections.abc import Iterator

from lab.running.live import Live
from lab.running.views import look
from lab.scenarios.finding import Finding

QUESTION = "Do daemons, netlink and /proc agree, and does a daemon own all that the driver has?"


def run(live: Live) -> Iterator[Finding]:
    """Look at every node, those without a daemon too."""
    views = look(live)
    for node in (node.name for node in live.topology.nodes):
        says = [one for one in views.disagreements if one.node == node]
        yield Finding(
            f"{node}: the three views agree", not says, "; ".join(map(str, says)) or "they do"
        )
    yield Finding("there is something to agree on", views.objects > 0, f"{views.objects} objects")
