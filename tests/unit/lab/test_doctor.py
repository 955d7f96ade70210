"""The doctor's table: each “no” with a cure that works on the box that was asked."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab import cli
from lab.doctor import capabilities, kernel
from lab.doctor.capabilities import Capability
from lab.doctor.emulator import emulator
from lab.doctor.model import Answer, Finding, Need, no, yes
from lab.places.appliance import commands
from lab.places.appliance.acceleration import Verdict
from lab.places.appliance.emulator import Emulator

_RELEASE = "6.8.0-test"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a box without modules, devices or tracefs, and its root folder."""

    def at(*parts: object) -> Path:
        path = Path(*parts)  # type: ignore[arg-type]
        return tmp_path / path.relative_to("/") if path.is_absolute() else path

    def fails(line: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(line, 2, "", "Error: Specified qdisc kind is unknown.\n")

    monkeypatch.setattr(kernel, "Path", at)
    monkeypatch.setattr(kernel, "_TRACEFS", (tmp_path / "sys/kernel/tracing",))
    monkeypatch.setattr(kernel.subprocess, "run", fails)
    monkeypatch.setattr(kernel.os, "geteuid", lambda: 0)
    monkeypatch.setattr(platform, "release", lambda: _RELEASE)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "debian"})
    kernel.module_state.cache_clear()
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> object:
    yield
    kernel.module_state.cache_clear()


def modules(box: Path, *names: str) -> None:
    folder = box / "lib/modules" / _RELEASE
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text("".join(f"kernel/{name}.ko.xz:\n" for name in names))


#: The rows that a module can cure, and which.
_CURED = {
    kernel.dev_ppp: "ppp_generic",
    kernel.veth: "veth",
    kernel.netem: "sch_netem",
    kernel.tracepoints: "l2tp_core",
}


@pytest.mark.parametrize("ask", _CURED)
def test_a_kernel_without_modules_is_not_told_to_load_one(
    box: Path, ask: Callable[[], Finding]
) -> None:
    (box / "sys/kernel/tracing/events").mkdir(parents=True)
    found = ask()
    assert found.answer is Answer.NO
    assert found.cure.startswith("boot a kernel that has modules")


@pytest.mark.parametrize("ask", [kernel.veth, kernel.netem])
def test_a_module_that_can_be_loaded_is_the_cure(box: Path, ask: Callable[[], Finding]) -> None:
    modules(box, _CURED[ask])
    assert ask().cure == f"modprobe {_CURED[ask]}"


@pytest.mark.parametrize(
    ("distribution", "cure"),
    [
        ("debian", "apt install linux-image-amd64 (not -cloud)"),
        ("ubuntu", f"apt install linux-modules-extra-{_RELEASE}"),
    ],
)
def test_the_cure_is_the_distributions_own(
    distribution: str, cure: str, box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules(box, "veth")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": distribution})
    assert kernel.module("l2tp_ppp").cure.endswith(cure)


def test_a_driver_without_its_device_is_not_cured_by_loading_it(box: Path) -> None:
    (box / "sys/module/ppp_generic").mkdir(parents=True)
    assert kernel.dev_ppp().cure == "mknod -m 600 /dev/ppp c 108 0"


def test_where_tracefs_is_not_mounted_that_is_the_cure(box: Path) -> None:
    (box / "sys/module/l2tp_core").mkdir(parents=True)
    assert kernel.tracepoints().cure == "boot a stock kernel"
    (box / "sys/kernel/tracing").mkdir(parents=True)
    assert kernel.tracepoints().cure.startswith("mount -t tracefs")


_OLD = Emulator("QEMU emulator version 7.2.22 (Debian)", 1)
_OWN = Emulator("QEMU emulator version 10.0.2 (Debian)", 2, Path("/cache/qemu"))

_EMULATORS = [
    (_OWN, Answer.YES, "the appliance's own 10.0.2, 2 processors (/cache/qemu)"),
    (replace(_OLD, processors=2), Answer.YES, "the box's 7.2.22, 2 processors"),
    (replace(_OLD, instead="no network"), Answer.NO, "the box's 7.2.22, 1 processor: no network"),
    (None, Answer.UNKNOWN, "a newer one, for two processors, is fetched by the next start"),
]


@pytest.mark.parametrize(("found", "answer", "detail"), _EMULATORS)
def test_the_qemu_of_the_guest_is_told(
    found: Emulator | None, answer: Answer, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "prove_acceleration", lambda _: Verdict("tcg", "a test", 1.0))
    monkeypatch.setattr(commands, "find_emulator", lambda _: found)
    told = emulator()
    assert (told.answer, told.detail) == (answer, detail)
    monkeypatch.setattr(commands, "prove_acceleration", lambda _: None)
    assert emulator().answer is Answer.UNKNOWN


def rows(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    table = tuple(
        Capability(f"row {number}", lambda found=found: found, frozenset({Need.HERE}))  # type: ignore[misc]
        for number, found in enumerate(findings)
    )
    monkeypatch.setattr(capabilities, "SECTIONS", {"this kernel": table})


def test_a_place_that_cannot_be_has_its_table_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows(monkeypatch, yes("there"), no("gone", "bring it back"))
    assert cli.main(["doctor", "--place", "here"]) == 4
    said = capsys.readouterr().out
    assert "✗ row 1" in said and "cure: bring it back" in said
    assert "a lab cannot run here: this box lacks row 1" in said
    assert cli.main(["doctor", "--place", "here", "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["place"] is None and "row 1" in told["reason"]
    assert [row["answer"] for row in told["capabilities"]] == ["yes", "no"]
    assert cli.main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["place"] == "appliance"


def test_where_there_is_no_sudo_it_is_not_the_cure(
    box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules(box, "sch_netem")
    monkeypatch.setattr(kernel.os, "geteuid", lambda: 1000)
    programs = {"unshare": "/usr/bin/unshare", "tc": "/usr/sbin/tc"}
    monkeypatch.setattr(kernel, "find_program", programs.get)
    assert kernel.netem().cure.startswith("ask as root: /")
    programs["sudo"] = "/usr/bin/sudo"
    assert kernel.netem().cure.startswith("sudo /")
