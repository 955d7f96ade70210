"""What a timeline lacks is its last line, whatever the reason."""

from __future__ import annotations

from typing import Any

import pytest

from lab.running.timelines import LabTimeline, Sources
from probes.hooks.spec import FIGURES
from probes.moments.log import HOOKS

HOOK = {"name": "free_tunnel", "attached": True, "hides": "", "missed": 0}


class Tracer:
    """Answers as the tracer does."""

    def __init__(self, **more: Any) -> None:
        self.answer = {
            "moments": [], "since_ns": 0, "following": 0, "forgotten": 0, "lost": 0,
            "hooks": [HOOK],
        } | more  # fmt: skip

    def moments(self, after: int) -> dict[str, Any]:
        return self.answer

    def __enter__(self) -> Tracer:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"hooks": [HOOK | {"missed": 3}]}, "lost: 3 runs of free_tunnel"),
        ({"hooks": [HOOK | {"attached": False, "hides": "ends"}]}, "free_tunnel: hides ends"),
        ({"lost": 2}, "lost: 2 moments"),
        ({"forgotten": 4}, "lost: 4 moments"),
    ],
)
def test_what_is_lacking_is_the_last_line(more: dict[str, Any], says: str) -> None:
    timeline = LabTimeline(Sources(Tracer(**more), dict))  # type: ignore[arg-type]
    timeline.read()
    (last,) = timeline.not_seen()
    assert last["event"] == "not_seen" and says in last["says"]


def test_a_hook_that_tells_moments_says_that_timelines_lack_them() -> None:
    words = ("timeline", "first packet")
    tell = {hook.name for hook in FIGURES.hooks if any(word in hook.hides for word in words)}
    assert tell == HOOKS


def test_where_nothing_lacks_nothing_is_said() -> None:
    timeline = LabTimeline(Sources(Tracer(), dict))  # type: ignore[arg-type]
    timeline.read()
    assert timeline.not_seen() == []
