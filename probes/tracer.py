"""The tracer: programs compiled and attached in the best style that works, and their figures."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from probes import cache
from probes.aggregate import figure_rows, loss_counts
from probes.attaching import Attached
from probes.events import FIGURE, compiler_flags
from probes.procfs import possible_cpus
from probes.snapshot import HookState, Snapshot
from probes.spec import RECEIVE, Program, Style

# Room for this many (netns, tunnel, session), fewer where many CPUs make each one expensive.
MAX_FIGURES = 4096
_FIGURES_MEMORY_BYTES = 64 << 20
# Room for frames that wait for an earlier one or for pppd; the oldest are forgotten.
MAX_WAITING = 2048


class Tracer:
    """A program at work in the kernel, for all network namespaces.

    max_figures: how many (netns, tunnel, session) there is room for.
    styles: the ways of attaching to try, the best first.
    report: is told in a few words what is being done, for a log.
    Raises ProbeError when nothing can be traced here.
    """

    def __init__(
        self,
        program: Program = RECEIVE,
        *,
        max_figures: int = MAX_FIGURES,
        styles: Iterable[Style] = tuple(Style),
        cache_folder: Path = cache.FOLDER,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._attached = Attached(
            program,
            compiler_flags(),
            {"figures": _fitting(max_figures), "waiting": MAX_WAITING},
            styles=styles,
            cache_folder=cache_folder,
            report=report,
        )

    def hooks(self) -> list[HookState]:
        """Say of each hook whether it is attached, and what is hidden if it is not."""
        return self._attached.hooks()

    def snapshot(self) -> Snapshot:
        """Read every figure and loss as they are now."""
        loaded = self._attached.maps
        hooks = self.hooks()
        losses = loss_counts(loaded.entries("losses"))
        return Snapshot(
            hooks=hooks,
            lost_events=sum(losses.values()) + sum(hook["missed"] or 0 for hook in hooks),
            losses=losses,
            figures=figure_rows(loaded.entries("figures")),
            time_ns=time.monotonic_ns(),
        )

    def close(self) -> None:
        """Detach everything. May be called again."""
        self._attached.close()


def _fitting(max_figures: int) -> int:
    """Bound the table by memory: it is allocated at once, for every possible CPU."""
    return max(1, min(max_figures, _FIGURES_MEMORY_BYTES // (FIGURE.size * possible_cpus())))
