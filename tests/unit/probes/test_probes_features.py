"""What the kernel offers, on a kernel that is a folder of files."""

import os
import signal
import sys
import types
from pathlib import Path

import pytest

from probes import __main__ as command_line
from probes import features
from probes.beat import Beat
from probes.errors import CannotRunHereError
from probes.features import L2TP_TRACEPOINTS, Feature, Places
from probes.hooks import modules
from probes.hooks.loader import Bcc
from probes.hooks.procfs import possible_cpus, program_runs


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """Make a kernel that has everything but readable type information."""
    release = os.uname().release
    for name in features.MODULES:
        (tmp_path / "sys/module" / name).mkdir(parents=True)
        write(tmp_path / "sys/kernel/btf" / name)
    write(
        tmp_path / "lib/modules" / release / "modules.dep",
        "kernel/net/l2tp/l2tp_ppp.ko.xz: kernel/net/l2tp/l2tp_core.ko.xz\n"
        "kernel/net/l2tp/l2tp_core.ko.xz:\n",
    )
    write(
        tmp_path / "proc/kallsyms",
        "0 t l2tp_udp_encap_recv\t[l2tp_core]\n0 t l2tp_xmit_skb\t[l2tp_core]\n"
        "0 t pppol2tp_recv\t[l2tp_ppp]\n0 T netif_rx\n",
    )
    tracing = tmp_path / "sys/kernel/tracing"
    write(
        tracing / "available_filter_functions",
        "first\nnetif_rx\nl2tp_udp_encap_recv [l2tp_core]\n",
    )
    for name in L2TP_TRACEPOINTS:
        (tracing / "events/l2tp" / name).mkdir(parents=True)
    (tracing / "events/skb/kfree_skb").mkdir(parents=True)
    return tmp_path


def asked(root: Path) -> dict[str, Feature]:
    return {feature.name: feature for feature in features.ask(Places(root), attach=False)}


def test_everything_that_is_there_is_found(kernel: Path) -> None:
    found = asked(kernel)
    missing = {name for name, feature in found.items() if not feature.available}
    assert missing <= {"root", "bcc", "BTF of vmlinux"}
    assert found["module l2tp_ppp"].detail == "loaded"
    assert found["function netif_rx"].detail == "traceable"
    assert found["function l2tp_udp_encap_recv"].detail == "traceable"
    assert found["function pppol2tp_recv"].detail == "not in available_filter_functions"


def test_every_no_has_a_reason_and_a_cure(tmp_path: Path) -> None:
    for feature in asked(tmp_path).values():
        assert bool(feature.reason) == bool(feature.cure) == (not feature.available), feature


def test_a_module_that_could_be_loaded_is_a_yes(kernel: Path) -> None:
    (kernel / "sys/module/l2tp_ppp").rmdir()
    assert asked(kernel)["module l2tp_ppp"].detail == "can be loaded"
    (kernel / "sys/module/pppox").rmdir()
    pppox = asked(kernel)["module pppox"]
    assert not pppox.available
    assert "not among the modules" in pppox.reason


def test_a_function_of_a_module_that_is_not_loaded_says_so(kernel: Path) -> None:
    write(kernel / "proc/kallsyms", "0 T netif_rx\n")
    (kernel / "sys/module/l2tp_core").rmdir()
    feature = asked(kernel)["function l2tp_udp_encap_recv"]
    assert feature.reason == "the module l2tp_core is not loaded"
    assert "modprobe l2tp_ppp" in feature.cure


def test_a_function_whose_name_only_begins_alike_is_not_it(kernel: Path) -> None:
    write(kernel / "proc/kallsyms", "0 T netif_rx_internal\n0 t pppol2tp_recv.cold\t[l2tp_ppp]\n")
    found = asked(kernel)
    assert not found["function netif_rx"].available
    assert not found["function pppol2tp_recv"].available


def test_tracefs_may_lie_below_debugfs(kernel: Path) -> None:
    (kernel / "sys/kernel/debug").mkdir()
    (kernel / "sys/kernel/tracing").rename(kernel / "sys/kernel/debug/tracing")
    assert asked(kernel)["tracepoint skb:kfree_skb"].available


def test_lockdown_is_seen(kernel: Path) -> None:
    write(kernel / "sys/kernel/security/lockdown", "none integrity [confidentiality]\n")
    assert not asked(kernel)["kernel memory readable"].available


def test_the_report_is_usable_only_with_all_that_is_needed() -> None:
    yes, no = Feature("a", True, needed=True), Feature("b", False, needed=False, reason="r")
    assert features.report([yes, no])["usable"] is True
    assert features.report([yes, Feature("c", False, needed=True)])["usable"] is False


def test_another_package_of_the_name_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcc", types.ModuleType("bcc"))
    with pytest.raises(CannotRunHereError, match="another package") as caught:
        Bcc()
    assert "pip uninstall bcc" in caught.value.cure


def test_without_bcc_the_right_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcc", None)
    with pytest.raises(CannotRunHereError, match="cannot import bcc") as caught:
        Bcc()
    assert "/usr/bin/python3" in caught.value.cure
    assert "python3-bpfcc" in caught.value.cure


@pytest.mark.parametrize(("text", "count"), [("0\n", 1), ("0-3\n", 4), ("0-1,4,6-7\n", 5)])
def test_possible_cpus_are_counted(tmp_path: Path, text: str, count: int) -> None:
    write(tmp_path / "possible", text)
    assert possible_cpus(tmp_path / "possible") == count


def test_a_driver_that_is_there_is_not_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "is_loaded", lambda name: True)
    monkeypatch.setenv("PATH", "/nonexistent")
    modules.load_driver()


def test_a_driver_that_cannot_be_loaded_is_said_with_a_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(modules, "is_loaded", lambda name: False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CannotRunHereError, match="not loaded") as caught:
        modules.load_driver()
    assert "modinfo" in caught.value.cure


def test_the_command_line_gives_4_where_it_cannot_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert command_line.main(["count"]) == 4
    said = capsys.readouterr().err
    assert "needs root" in said
    assert "sudo" in said


@pytest.mark.parametrize(
    "arguments",
    [[], ["serve"], ["count", "--count", "0"], ["count", "--interval", "-1"], ["nonsense"]],
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_asking_a_tracer_that_is_not_there_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(["stop", "--socket", str(tmp_path / "x.sock")]) == 1
    assert "cannot be reached" in capsys.readouterr().err


def test_a_descriptor_that_is_no_program_tells_of_no_runs(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        assert program_runs(file.fileno()) == (None, 0, 0)


def test_what_is_missing_for_one_reason_stands_together() -> None:
    found = [
        Feature("root", True, needed=True),
        Feature("a", False, needed=False, reason="not mounted", cure="mount it"),
        Feature("b", False, needed=False, reason="not mounted", cure="mount it"),
        Feature("bcc", False, needed=True, reason="not there", cure="install it"),
    ]
    assert features.draw(found).splitlines() == [
        "yes root",
        "no  a, b",
        "    not mounted",
        "    mount it",
        "NO  bcc",
        "    not there",
        "    install it",
    ]


def test_a_beat_ends_after_its_turns() -> None:
    with Beat(0.001, 2) as beat:
        assert [beat.next() for _ in range(3)] == [True, True, False]


def test_a_signal_ends_a_beat_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with Beat(3600, None) as beat:
        signal.raise_signal(signal.SIGTERM)
        assert not beat.next()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
