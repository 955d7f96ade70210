"""The tracer: programs compiled and attached in the best style that works, and their figures."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from probes import cache
from probes.aggregate import figure_rows, loss_counts
from probes.btf import Btf
from probes.bytecode import Bytecode
from probes.errors import CannotRunHereError
from probes.events import FIGURE, compiler_flags
from probes.loader import AttachError, Bcc, Loaded
from probes.procfs import missed_runs, possible_cpus
from probes.snapshot import HookState, Snapshot
from probes.spec import RECEIVE, Hook, Program, Style, offset_flags

# Room for this many (netns, tunnel, session), fewer where many CPUs make each one expensive.
MAX_FIGURES = 4096
_FIGURES_MEMORY_BYTES = 64 << 20
# Room for frames that wait for an earlier one or for pppd; the oldest are forgotten.
MAX_WAITING = 2048


class Attempt:
    """What came of attaching a program's hooks in one style.

    programs: file descriptors by hook, of those attached. reasons: by hook, why not.
    """

    def __init__(self, style: Style) -> None:
        self.style = style
        self.loaded: Loaded | None = None
        self.programs: dict[str, int] = {}
        self.reasons: dict[str, str] = {}

    def attach(self, hooks: Iterable[Hook]) -> None:
        """Attach what can be attached, and note why the rest cannot."""
        for hook in hooks:
            if self.loaded is None:
                continue
            try:
                self.programs[hook.name] = self.loaded.attach(hook, self.style)
            except AttachError as error:
                self.reasons[hook.name] = str(error)

    def rank(self, hooks: Iterable[Hook]) -> tuple[int, int]:
        """Order attempts: by needed hooks, then by all hooks that are attached."""
        attached = [hook for hook in hooks if hook.name in self.programs]
        return sum(hook.needed for hook in attached), len(attached)

    def close(self) -> None:
        """Detach."""
        if self.loaded is not None:
            self.loaded.close()
            self.loaded = None
        self.programs.clear()


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
        self._program = program
        self._report = report
        flags = [
            *offset_flags(Btf.of_kernel().offsets(program.offsets)),
            *compiler_flags(),
        ]
        self._room = {"figures": _fitting(max_figures), "waiting": MAX_WAITING}
        self._bcc = Bcc()
        self._attempts: list[Attempt] = []
        self._compiled: list[Bytecode] = []
        self._chosen = self._choose(styles, flags, cache_folder)
        if not self._chosen.programs:
            reasons = "; ".join(
                f"{attempt.style.value}: {name}: {reason}"
                for attempt in self._attempts
                for name, reason in attempt.reasons.items()
            )
            raise CannotRunHereError(
                f"no hook of the L2TP driver can be watched: {reasons}",
                "See `python3 -m probes features` for what this kernel lacks.",
            )

    def _choose(self, styles: Iterable[Style], flags: list[str], folder: Path) -> Attempt:
        hooks = self._program.hooks
        best: Attempt | None = None
        for style in styles:
            attempt = self._attempt(style, flags, folder)
            self._attempts.append(attempt)
            if best is None or attempt.rank(hooks) > best.rank(hooks):
                if best is not None:
                    best.close()
                best = attempt
            else:
                attempt.close()
            if len(best.programs) == len(hooks):
                break
        if best is None:
            raise ValueError("no style to attach in")
        return best

    def _attempt(self, style: Style, flags: list[str], folder: Path) -> Attempt:
        attempt = Attempt(style)
        bytecode = self._bytecode(style, flags, folder)
        try:
            attempt.loaded = Loaded(self._bcc, bytecode, self._room)
        except AttachError as error:
            attempt.reasons = {hook.name: str(error) for hook in self._program.hooks}
        else:
            attempt.attach(self._program.hooks)
        self._report(
            f"{style.value}: {len(attempt.programs)} of {len(self._program.hooks)} hooks attached"
        )
        return attempt

    def _bytecode(self, style: Style, flags: list[str], folder: Path) -> Bytecode:
        if style is Style.FENTRY:
            flags = [*flags, "-DUSE_FENTRY"]
        source = self._program.source_text()
        name = f"{self._program.name}-{style.value}"
        made_from = cache.made_from(source, flags, f"bcc {self._bcc.version}")
        bytecode = cache.load(name, made_from, folder) or self._compiled_for(style)
        if bytecode is None:
            self._report(f"compiling {self._program.name} for {style.value}")
            bytecode = self._bcc.compile(source, flags)
            cache.store(name, made_from, bytecode, folder)
        self._compiled.append(bytecode)
        return bytecode

    def _compiled_for(self, style: Style) -> Bytecode | None:
        """Give what has been compiled already, where a bcc without fentry made kprobes of it."""
        for bytecode in self._compiled:
            if all(bytecode.program_of(hook, style) for hook in self._program.hooks):
                return bytecode
        return None

    def hooks(self) -> list[HookState]:
        """Say of each hook whether it is attached, and what is hidden if it is not."""
        return [self._hook_state(hook) for hook in self._program.hooks]

    def _hook_state(self, hook: Hook) -> HookState:
        program = self._chosen.programs.get(hook.name)
        return HookState(
            name=hook.name,
            program=self._program.name,
            how=None if program is None else hook.how(self._chosen.style),
            attached=program is not None,
            reason="; ".join(
                f"{hook.how(attempt.style)}: {attempt.reasons[hook.name]}"
                for attempt in self._attempts
                if hook.name in attempt.reasons
            ),
            hides=hook.hides if program is None else "",
            missed=None if program is None else missed_runs(program),
        )

    def snapshot(self) -> Snapshot:
        """Read every figure and loss as they are now."""
        loaded = self._chosen.loaded
        if loaded is None:
            raise ValueError("the tracer is closed")
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
        self._chosen.close()


def _fitting(max_figures: int) -> int:
    """Bound the table by memory: it is allocated at once, for every possible CPU."""
    return max(1, min(max_figures, _FIGURES_MEMORY_BYTES // (FIGURE.size * possible_cpus())))
