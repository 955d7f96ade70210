"""What the kernel's numbers mean: code addresses, drop reasons, namespaces."""

from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from probes.hooks.btf import Btf

_PREFIX = "SKB_DROP_REASON_"


class KernelNames:
    """Asks the running kernel, once and only when asked.

    nodes: names of network namespaces by inode number.
    """

    def __init__(self, nodes: Mapping[int, str], kallsyms: Path = Path("/proc/kallsyms")) -> None:
        self._nodes = nodes
        self._kallsyms = kallsyms
        self._known: dict[int, str] = {}

    def node(self, netns: int) -> str | None:
        """Name a network namespace by its inode number."""
        return self._nodes.get(netns)

    def function(self, address: int) -> str:
        """Name the function that a code address lies in; empty where that is not known.

        The address is one that a call returns to: it may lie just behind its function.
        """
        if address not in self._known:
            addresses, names = self._functions
            at = bisect_right(addresses, address - 1) - 1
            self._known[address] = names[at] if at >= 0 else ""
        return self._known[address]

    def reason(self, number: int) -> str:
        """Name a drop reason of the kernel, or say its number."""
        return self._reasons.get(number, str(number)).removeprefix(_PREFIX)

    @cached_property
    def _reasons(self) -> dict[int, str]:
        return Btf.of_kernel().enumerators("skb_drop_reason")

    @cached_property
    def _functions(self) -> tuple[list[int], list[str]]:
        functions = []
        with self._kallsyms.open() as lines:
            for line in lines:
                address, kind, name = line.split(maxsplit=2)
                if kind in "tTwW":
                    functions.append((int(address, 16), name.split("\t")[0].strip()))
        functions.sort()
        return [address for address, _ in functions], [name for _, name in functions]
