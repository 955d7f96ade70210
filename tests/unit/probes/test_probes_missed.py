"""Runs that the kernel skipped: how many, or that it does not count them."""

from pathlib import Path

import pytest

from probes.hooks.attaching import missed_runs
from probes.hooks.btf import counts_missed_kprobes
from probes.hooks.procfs import Runs
from probes.hooks.spec import FIGURES, Style
from probes.hooks.state import HookState, missed_lines
from tests.unit.probes.test_probes_btf import STRUCT, UNION, Builder


def kernel(*members: str) -> bytes:
    """Build struct bpf_link_info as Linux nests it."""
    btf = Builder()
    btf.aggregate(STRUCT, "", *((name, 1, 64 * at) for at, name in enumerate(members)))  # type 1
    btf.aggregate(UNION, "", ("kprobe", 1, 0))
    btf.aggregate(STRUCT, "", ("type", 1, 0), ("", 2, 64))
    btf.aggregate(UNION, "", ("perf_event", 3, 0))
    btf.aggregate(STRUCT, "bpf_link_info", ("type", 1, 0), ("", 4, 128))
    return btf.build()


@pytest.mark.parametrize(("members", "counts"), [(("addr", "missed"), True), (("addr",), False)])
def test_a_kernel_that_tells_of_missed_kprobes_counts_them(
    tmp_path: Path, members: tuple[str, ...], counts: bool
) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(kernel(*members))
    assert counts_missed_kprobes(path) is counts
    assert not counts_missed_kprobes(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "style", "counts", "missed"),
    [
        ("netif_rx", Style.KPROBE, False, None),
        ("l2tp_xmit_skb return", Style.KPROBE, False, None),
        ("netif_rx", Style.KPROBE, True, 3),
        ("netif_rx", Style.FENTRY, False, 3),
        ("kfree_skb", Style.KPROBE, False, 3),  # a raw tracepoint
    ],
)
def test_a_number_that_nobody_counts_is_none(
    monkeypatch: pytest.MonkeyPatch, name: str, style: Style, counts: bool, missed: int | None
) -> None:
    monkeypatch.setattr("probes.hooks.attaching.counts_missed_kprobes", lambda: counts)
    (hook,) = (hook for hook in FIGURES.hooks if hook.name == name)
    assert missed_runs(hook, style, Runs(3, 0, 0)) == missed


def hook(name: str, missed: int | None, attached: bool = True) -> HookState:
    return HookState(
        name=name, program="", how=None, attached=attached, reason="", hides="", missed=missed,
        run_count=0, run_ns=0,
    )  # fmt: skip


def test_that_nobody_can_know_is_said_of_what_is_attached() -> None:
    hooks = [hook("a", 2), hook("b", None), hook("c", None), hook("d", None, attached=False)]
    assert list(missed_lines(hooks)) == [
        "lost: 2 runs of a that the kernel skipped",
        "not told by this kernel: how many runs it skipped of b, c",
    ]
    assert list(missed_lines([hook("a", 0)])) == []
