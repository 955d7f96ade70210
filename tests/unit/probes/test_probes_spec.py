"""The table of hooks, and what C and Python must agree on."""

import re

import pytest

from probes.figures.events import FIGURE, FIGURE_KEY, LOSS_MEANINGS, Loss, compiler_flags
from probes.hooks.spec import BPF_FOLDER, FIGURES, KERNEL_STANDIN, Hook, Style, offset_flags

SOURCE = FIGURES.source_text()


@pytest.mark.parametrize("hook", FIGURES.hooks, ids=lambda hook: hook.name)
def test_every_hook_has_a_program_for_each_style(hook: Hook) -> None:
    if hook.tracepoint:
        assert f"\nRAW_TRACEPOINT_PROBE({hook.function})\n" in SOURCE
        assert hook.hides
        return
    assert re.search(rf"^int {hook.kprobe_program}\(struct pt_regs", SOURCE, re.MULTILINE)
    macro = "KRETFUNC_PROBE" if hook.at_return else "KFUNC_PROBE"
    where = rf"MODULE_{macro}\({hook.module}, " if hook.module else rf"{macro}\("
    assert re.search(rf"^{where}{hook.function}, ", SOURCE, re.MULTILINE)
    assert hook.hides


def test_the_ways_of_attaching_are_named_as_the_kernel_names_them() -> None:
    entry, leave = FIGURES.hooks[:2]
    assert [entry.how(style) for style in Style] == ["fentry", "kprobe"]
    assert [leave.how(style) for style in Style] == ["fexit", "kretprobe"]


def test_a_program_of_the_return_is_not_one_of_the_entry() -> None:
    entry, leave = FIGURES.hooks[:2]
    name = "kretfunc__l2tp_core__l2tp_udp_encap_recv"
    assert leave.is_program(name, Style.FENTRY)
    assert not entry.is_program(name, Style.FENTRY)


def test_every_offset_that_the_source_uses_is_asked_for() -> None:
    used = set(re.findall(r"\bOFFSET_[A-Z0-9_]+\b", re.sub(r"OFFSET_<.*", "", SOURCE)))
    asked = [*FIGURES.offsets, *(m for _, members in FIGURES.module_offsets for m in members)]
    given = offset_flags(dict.fromkeys(asked, 0))
    assert used == {flag.removeprefix("-D").partition("=")[0] for flag in given}


def test_the_losses_are_in_the_order_of_the_enum_in_c() -> None:
    body = re.search(r"enum loss \{(.*?)\};", SOURCE, re.DOTALL)
    assert body
    names = re.findall(r"\bLOSS_([A-Z_]+),", body.group(1))
    assert names == [loss.name for loss in Loss]
    assert set(LOSS_MEANINGS) == set(Loss)


def test_the_compiler_is_told_every_size_to_check() -> None:
    flags = dict(flag.removeprefix("-D").split("=") for flag in compiler_flags())
    assert flags["SIZEOF_FIGURE_KEY"] == str(FIGURE_KEY.size)
    assert flags["SIZEOF_FIGURE"] == str(FIGURE.size)
    for name in flags:
        assert name in SOURCE


def test_the_key_has_no_padding_that_the_kernel_would_compare() -> None:
    assert FIGURE_KEY.size == 8 + 4 * 4
    assert FIGURE_KEY.size % 8 == 0


def test_the_programs_include_only_what_the_stand_in_has() -> None:
    for name in FIGURES.sources:
        for header in re.findall(r"#include <(.*?)>", (BPF_FOLDER / name).read_text()):
            assert (KERNEL_STANDIN / "include" / header).is_file()
