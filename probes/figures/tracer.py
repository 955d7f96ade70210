"""The tracer: the program of the figures at work, and what it has counted."""

import contextlib
import mmap
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from probes.errors import ProbeError
from probes.figures import driver
from probes.figures.aggregate import figure_rows, loss_counts
from probes.figures.events import FIGURE, FIGURE_KEY, SETTINGS, STEADY, compiler_flags
from probes.figures.reconcile import Reading, Reconciler, read_until_agreed
from probes.figures.sessions import SessionNote
from probes.figures.slots import Slots
from probes.figures.snapshot import FigureRow, Snapshot
from probes.hooks import cache
from probes.hooks.attaching import Attached
from probes.hooks.costs import CostMeter
from probes.hooks.loader import Loaded
from probes.hooks.procfs import module_text, possible_cpus
from probes.hooks.spec import FIGURES, L2TP_PPP, PPP_GENERIC, Program, Style
from probes.hooks.state import HookState
from probes.moments.events import moment_compiler_flags
from probes.moments.log import RING_OCTETS, MomentLog

# Room for this many (netns, tunnel, session), fewer where many CPUs make each one expensive.
MAX_FIGURES = 8192
_FIGURES_MEMORY_BYTES = 64 << 20
# Room for packets that wait for an earlier one or for pppd.
MAX_WAITING = 8192
# Room for what one CPU tells another of a datagram that both have in hand.
MAX_EARLIER = 1024
# Beyond this share of the room, sessions that have ended make place for others.
_CROWDED = 0.75
_SILENT_NS = 60_000_000_000


class Tracer:
    """A program at work in the kernel, for all network namespaces.

    max_figures: how many (netns, tunnel, session) there is room for.
    one_in: count one packet in so many, each way on each CPU.
    moments: also keep what happens to tunnels and sessions.
    detach_later: let the kernel detach soon after close(), and do not wait for it.
    styles: the ways of attaching to try, the best first.
    report: is told in a few words what is being done, for a log.
    Raises ProbeError when nothing can be traced here.
    """

    def __init__(
        self,
        program: Program = FIGURES,
        *,
        max_figures: int = MAX_FIGURES,
        one_in: int = 1,
        moments: bool = False,
        detach_later: bool = False,
        styles: Iterable[Style] = tuple(Style),
        cache_folder: Path = cache.FOLDER,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._room = _fitting(max_figures)
        self._one_in = one_in
        self._tells = moments
        self._detach_later = detach_later
        self._evicted = 0
        self._costs = CostMeter()
        self._tried: dict[Loaded, Slots] = {}
        self._attached = Attached(
            program,
            [*compiler_flags(), *moment_compiler_flags()],
            {
                "moments": RING_OCTETS if moments else mmap.PAGESIZE,
                **dict.fromkeys(("figures", "places", "vacant"), self._room),
                "earlier": MAX_EARLIER,
                "sessions": self._room,
                "tunnel_versions": self._room,
                "waiting": MAX_WAITING,
            },
            styles=styles,
            cache_folder=cache_folder,
            report=report,
            settle=self._settle,
        )
        self._slots = self._tried.pop(self._attached.maps)
        self._reconciler = Reconciler(possible_cpus(), since_ns=time.monotonic_ns())
        self.moments = MomentLog(self._attached.maps, self.hooks) if moments else None

    def _settle(self, loaded: Loaded, attached: frozenset[str]) -> None:
        """Prepare what is about to be attached: once a style that is tried."""
        _settle(self._one_in, self._tells, loaded, attached)
        self._tried[loaded] = Slots(loaded, self._room)

    def hooks(self) -> list[HookState]:
        """Say of each hook whether it is attached, and what is hidden if it is not."""
        return self._attached.hooks()

    def measure_costs(self, on: bool) -> bool:
        """Let the kernel measure the programs' own run time, or no more; says whether it does."""
        if not on:
            self._costs.turn_off()
            return False
        return self._costs.turn_on()

    def note_older(self) -> None:
        """Take down what the driver has counted so far, everywhere: it is not the probes' to know.

        Without it the first snapshot does so for each session that is in it.
        """
        with contextlib.suppress(ProbeError):  # told with every snapshot
            before = driver.read()
            if not before:
                return  # whatever comes from now on is seen from its beginning
            self._reconciler.judge(self._rows().rows, before, driver.read())

    def snapshot(self) -> Snapshot:
        """Read every figure and loss as they are now, and hold them against the driver's own."""
        hooks = self.hooks()
        losses = loss_counts(self._attached.maps.entries("losses"))
        (rows, notes, figures), trouble = self._reconciled()
        now_ns = time.monotonic_ns()
        if len(figures) > self._room * _CROWDED:
            self._make_room(rows, now_ns)
        self._forget_ended(notes, figures)
        return Snapshot(
            hooks=hooks,
            lost_events=sum(losses.values()) + sum(hook["missed"] or 0 for hook in hooks),
            losses=losses,
            figures=rows,
            evicted_figures=self._evicted,
            costs_measured=self._costs.is_on,
            not_reconciled=trouble,
            one_in=self._one_in,
            time_ns=now_ns,
        )

    def make_room(self) -> None:
        """Let sessions that have ended go where others need their room; cheap while there is."""
        crowd = max(self._slots.count(), self._attached.maps.count("sessions"))
        if crowd > self._room * _CROWDED:
            rows, notes, figures = self._rows()
            if len(figures) > self._room * _CROWDED:
                self._make_room(rows, time.monotonic_ns())
            self._forget_ended(notes, figures)

    def _rows(self) -> Reading:
        loaded = self._attached.maps
        notes = dict(loaded.entries("sessions"))
        figures = self._slots.read()
        return Reading(figure_rows(figures.items(), notes), notes, figures)

    def _reconciled(self) -> tuple[Reading, str]:
        """Read rows and hold them against the driver's counters, where every packet is counted."""
        if self._one_in > 1:
            return self._rows(), f"only one packet in {self._one_in} is counted"
        return read_until_agreed(self._reconciler, self._rows, driver.read)

    def _make_room(self, rows: list[FigureRow], now_ns: int) -> None:
        """Evict those that have ended or were never known, the longest silent first."""
        evictable = sorted(
            (row for row in rows if _is_evictable(row, now_ns)),
            key=lambda row: row["last_seen_ns"],
        )
        for row in evictable[: len(rows) - self._room // 2]:
            key = FIGURE_KEY.pack(
                row["netns_cookie"],
                row["netns"],
                row["tunnel_id"],
                row["session_id"],
                row["version"],
            )
            self._evicted += self._slots.evict(key)

    def _forget_ended(self, notes: Mapping[bytes, bytes], figures: Mapping[bytes, bytes]) -> None:
        """Make room for new sessions among the notes."""
        if len(notes) > self._room * _CROWDED:
            for key, note in notes.items():
                if key not in figures and SessionNote.unpack(note).ended_ns:
                    self._attached.maps.delete("sessions", key)

    def close(self) -> None:
        """Detach everything. May be called again."""
        self._costs.turn_off()
        if self.moments is not None:
            self.moments.close()
        if self._detach_later:
            self._detach_later = False
            self._attached.leave()
        self._attached.close()


def _settle(one_in: int, tells: bool, loaded: Loaded, attached: frozenset[str]) -> None:
    """Tell the programs what they see, and where the modules' code lies."""
    settings = SETTINGS.pack(
        *module_text(PPP_GENERIC),
        *module_text(L2TP_PPP),
        "pppol2tp_recv" in attached,
        "kfree_skb" in attached,
    )
    loaded.write("settings", bytes(4), settings)
    # Where owners are seen to change, what an address stands for is kept from packet to packet.
    sees_owners = {"register_tunnel", "delete_tunnel", "register_session", "delete_session"}
    loaded.write("steady", bytes(4), STEADY.pack(sees_owners <= attached, one_in, tells))


def _is_evictable(row: FigureRow, now_ns: int) -> bool:
    """Say whether a row's session has ended, or is unknown and has been silent for long."""
    silent = now_ns - row["last_seen_ns"] > _SILENT_NS
    return row["ended_ns"] is not None or (row["uses"] == 0 and silent)


def _fitting(max_figures: int) -> int:
    """Bound the table by memory: it is allocated at once, for every possible CPU."""
    return max(1, min(max_figures, _FIGURES_MEMORY_BYTES // (FIGURE.size * possible_cpus())))
