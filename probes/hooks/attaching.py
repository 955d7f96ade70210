"""A program at work in the kernel: compiled or taken from the cache, attached in the best style."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from probes.errors import CannotRunHereError
from probes.hooks import btf, cache
from probes.hooks.btf import Btf, counts_missed_kprobes
from probes.hooks.bytecode import Bytecode
from probes.hooks.loader import AttachError, Bcc, Loaded
from probes.hooks.procfs import Runs, program_runs
from probes.hooks.spec import Hook, Program, Style, offset_flags
from probes.hooks.state import HookState


class Attempt:
    """What came of attaching a program's hooks in one style.

    programs: file descriptors by hook, of those attached. reasons: by hook, why not.
    """

    def __init__(self, style: Style) -> None:
        self.style = style
        self.loaded: Loaded | None = None
        self.programs: dict[str, int] = {}
        self.reasons: dict[str, str] = {}

    def attach(self, hooks: Sequence[Hook], settle: "Settle") -> None:
        """Attach what can be attached, and note why the rest cannot.

        settle: is told what is attached before the hooks come at which packets begin.
        """
        self._attach(hook for hook in hooks if not hook.begins)
        if self.loaded is not None:
            settle(self.loaded, frozenset(self.programs))
        self._attach(hook for hook in hooks if hook.begins)

    def _attach(self, hooks: Iterable[Hook]) -> None:
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

    def leave(self) -> tuple[int, int]:
        """Detach; let the kernel do so soon where it will (see Loaded)."""
        taken = (0, 0) if self.loaded is None else self.loaded.leave()
        self.close()
        return taken

    def close(self) -> None:
        """Detach."""
        if self.loaded is not None:
            self.loaded.close()
            self.loaded = None
        self.programs.clear()


# Writes into the maps of a program what depends on which of its hooks could be attached.
Settle = Callable[[Loaded, frozenset[str]], None]


def _nothing_to_settle(loaded: Loaded, attached: frozenset[str]) -> None:
    pass


class Attached:
    """The hooks and maps of one program, at work until close().

    flags: -D flags beside those that tell of offsets.
    room: how many entries a map gets, where not as many as it was compiled with.
    styles: the ways of attaching to try, the best first.
    report: is told in a few words what is being done, for a log.
    settle: sets what the programs must know before the first packet.
    Raises ProbeError when nothing can be traced here.
    """

    def __init__(
        self,
        program: Program,
        flags: Sequence[str],
        room: Mapping[str, int],
        *,
        styles: Iterable[Style] = tuple(Style),
        cache_folder: Path = cache.FOLDER,
        report: Callable[[str], None] = lambda text: None,
        settle: Settle = _nothing_to_settle,
    ) -> None:
        self._program = program
        self._settle = settle
        self._report = report
        self._room = room
        self._bcc = Bcc()
        self._attempts: list[Attempt] = []
        self._compiled: list[Bytecode] = []
        all_flags = [*offset_flags(offsets_of(program)), *flags]
        self._chosen = self._choose(styles, all_flags, cache_folder)
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

    @property
    def maps(self) -> Loaded:
        """The maps, for reading. Raises ValueError after close()."""
        if self._chosen.loaded is None:
            raise ValueError("the tracer is closed")
        return self._chosen.loaded

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
            attempt.attach(self._program.hooks, self._settle)
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
        runs = Runs(None, 0, 0) if program is None else program_runs(program)
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
            missed=missed_runs(hook, self._chosen.style, runs),
            run_count=runs.runs,
            run_ns=runs.ns,
        )

    def leave(self) -> None:
        """Detach everything, but let the kernel do so soon, and do not wait for it."""
        taken, total = self._chosen.leave()
        self._report(f"{taken} of {total} hooks are left to the kernel to detach")

    def close(self) -> None:
        """Detach everything. May be called again."""
        self._chosen.close()


def missed_runs(hook: Hook, style: Style, runs: Runs) -> int | None:
    """Say how many runs the kernel skipped; None where it does not count those of this kind."""
    if hook.how(style) in ("kprobe", "kretprobe") and not counts_missed_kprobes():
        return None  # what it tells is 0 however many they were
    return runs.missed


def offsets_of(program: Program) -> dict[tuple[str, str], int]:
    """Ask vmlinux, and each module that has structures of its own; once of the same modules.

    Raises CannotRunHereError where one of them does not tell.
    """
    modules = tuple(module for module, _ in program.module_offsets)
    return _found_offsets(program.offsets, program.module_offsets, btf.identities(modules))


@functools.lru_cache
def _found_offsets(
    offsets: tuple[tuple[str, str], ...],
    module_offsets: tuple[tuple[str, tuple[tuple[str, str], ...]], ...],
    _: tuple[int, ...],
) -> dict[tuple[str, str], int]:
    kernel = Btf.of_kernel()
    found = kernel.offsets(offsets)
    for module, members in module_offsets:
        found.update(kernel.of_module(module).offsets(members))
    return found
