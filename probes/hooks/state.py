"""What a hook is said to be: attached and how, or not and what that hides."""

from collections.abc import Iterable, Iterator
from typing import TypedDict


def missed_lines(hooks: Iterable["HookState"]) -> Iterator[str]:
    """Say what runs of attached hooks the kernel skipped, or that nobody can know."""
    untold = []
    for hook in hooks:
        if hook["missed"]:
            yield f"lost: {hook['missed']} runs of {hook['name']} that the kernel skipped"
        elif hook["attached"] and hook["missed"] is None:
            untold.append(hook["name"])
    if untold:
        yield f"not told by this kernel: how many runs it skipped of {', '.join(untold)}"


class HookState(TypedDict):
    """One hook: attached or not, and what is not seen without it.

    how: fentry, fexit, kprobe or kretprobe; None when it is not attached.
    reason: why not, or why not in the better way; empty when there is nothing to say.
    hides: what is missing from the figures; empty when it is attached.
    missed: runs that the kernel skipped; None when it does not tell, as of kprobes before 6.7.
    run_count, run_ns: the program's runs while the kernel measured them, and how long they took.
    """

    name: str
    program: str
    how: str | None
    attached: bool
    reason: str
    hides: str
    missed: int | None
    run_count: int
    run_ns: int
