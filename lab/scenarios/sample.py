"""Which sessions a check looks at closely, where there are too many for all of them."""

from __future__ import annotations

from lab.running.live import SessionEnds

MOST = 6
"""So many are looked at one by one; of more, a sample."""


def sample(sessions: list[SessionEnds]) -> list[SessionEnds]:
    """Give all sessions, or of many the first of each tunnel, and ``MOST`` at most."""
    if len(sessions) <= MOST:
        return sessions
    firsts = {ends.lac_tunnel["local_tunnel_id"]: ends for ends in reversed(sessions)}
    return list(firsts.values())[::-1][:MOST]
