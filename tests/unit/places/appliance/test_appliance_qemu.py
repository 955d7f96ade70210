"""QEMU's argument vector says what a machine is to be, and can be read back."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab.places.appliance import qemu, snapshot
from lab.places.appliance.architecture import ARCHITECTURES
from lab.places.appliance.qemu import PROBE, Machine, Memory, arguments, port_of, processors
from lab.places.appliance.snapshot import restored, snapshot_key

MACHINE = Machine(
    name="l2tp-lab-lab",
    architecture=ARCHITECTURES["x86_64"],
    acceleration="tcg",
    kernel=Path("/cache/kernels/6.12/vmlinuz"),
    initramfs=Path("/cache/kernels/6.12/initramfs.cpio"),
    disk=Path("/cache/machines/lab/disk.qcow2"),
    modules=Path("/cache/kernels/6.12/modules.ext2"),
    pid_file=Path("/run/pid"),
    monitor=Path("/run/qmp"),
    log=Path("/cache/machines/lab/console.log"),
    port=2222,
)


def text(machine: Machine) -> str:
    return "\n".join(arguments(machine, 3, 4))


def after(machine: Machine, option: str) -> str:
    argv = arguments(machine, 3, 4)
    return argv[argv.index(option) + 1]


def test_a_counting_processor_is_one_thread_with_a_clock_of_its_own() -> None:
    counted = replace(MACHINE, acceleration="counted")
    assert after(counted, "-icount") == "shift=0,sleep=off"
    assert "thread=single" in after(counted, "-accel")
    assert after(counted, "-cpu") == after(MACHINE, "-cpu")
    assert "-icount" not in arguments(MACHINE, 3, 4)


def test_the_guests_network_is_closed_but_for_ssh_on_the_loopback() -> None:
    network = after(MACHINE, "-netdev")
    assert "restrict=on" in network
    assert "hostfwd=tcp:127.0.0.1:2222-10.0.2.15:22" in network
    assert network.count("hostfwd") == 1


def test_nothing_of_the_users_configuration_is_taken() -> None:
    assert {"-nodefaults", "-no-user-config"} <= set(arguments(MACHINE, 3, 4))


def test_the_modules_are_only_read_and_the_disk_is_written() -> None:
    drives = [a for a in arguments(MACHINE, 3, 4) if a.startswith("if=none")]
    assert [("readonly=on" in d, "id=root" in d) for d in drives] == [(False, True), (True, False)]


def test_a_comma_in_a_path_does_not_end_the_value() -> None:
    assert "file=/a,,b/disk," in text(replace(MACHINE, disk=Path("/a,b/disk")))


def test_a_probe_has_no_disk_of_its_own() -> None:
    probe = text(replace(MACHINE, disk=None, kernel_arguments=(PROBE,)))
    assert "id=root" not in probe
    assert PROBE in probe


@pytest.mark.parametrize(
    ("acceleration", "expected"), [("kvm", ("kvm", "host")), ("tcg", ("tcg", "max"))]
)
def test_the_processor_fits_the_acceleration(acceleration: str, expected: tuple[str, str]) -> None:
    machine = replace(MACHINE, acceleration=acceleration)
    assert after(machine, "-accel").startswith(expected[0])
    assert after(machine, "-cpu").startswith(expected[1])


def test_a_qemu_of_the_appliances_own_is_started_by_its_path_and_with_its_own_firmware() -> None:
    assert arguments(MACHINE, 3, 4)[0] == "qemu-system-x86_64"
    assert "-L" not in arguments(MACHINE, 3, 4)
    own = replace(MACHINE, qemu=Path("/cache/qemu"))
    assert arguments(own, 3, 4)[0] == "/cache/qemu/qemu-system-x86_64"
    assert after(own, "-L") == "/cache/qemu"


def test_emulated_code_has_a_bound() -> None:
    assert f"tb-size={qemu.TRANSLATION_CACHE_MIB}" in after(MACHINE, "-accel")
    assert "tb-size=256" in after(replace(MACHINE, translated_mib=256), "-accel")


def test_a_restored_machine_maps_the_memory_privately_and_waits_for_its_state() -> None:
    machine = restored(MACHINE, Path("/cache/warm/key"))
    memory = after(machine, "-object")
    assert "mem-path=/cache/warm/key/ram,share=off" in memory
    assert after(machine, "-incoming") == "defer"
    assert "-incoming" not in arguments(MACHINE, 3, 4)


@pytest.mark.parametrize(
    ("acceleration", "version", "expected"),
    [
        ("tcg", "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", 1),
        ("tcg", "QEMU emulator version 8.0.5", 1),
        ("tcg", "QEMU emulator version 8.1.0", 2),
        ("tcg", "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)", 2),
        ("tcg", "something unheard of", 1),
        ("kvm", "QEMU emulator version 7.2.22", 2),
    ],
)
def test_processors_are_as_many_as_are_safe(acceleration: str, version: str, expected: int) -> None:
    assert processors(acceleration, version) == expected


def test_the_port_is_read_back() -> None:
    assert port_of(arguments(MACHINE, 3, 4)) == 2222
    assert port_of(["qemu-system-x86_64"]) == 0


SAME = [
    {"name": "l2tp-lab-other"},
    {"disk": Path("/elsewhere/disk")},
    {"pid_file": Path("/elsewhere/pid")},
    {"monitor": Path("/elsewhere/qmp")},
    {"log": Path("/elsewhere/log")},
    {"port": 3333},
]
OTHER = [
    {"memory": Memory(2048)},
    {"cpus": 2},
    {"acceleration": "kvm"},
    {"kernel_arguments": ("debug",)},
]


@pytest.mark.parametrize("change", SAME)
def test_two_labs_share_a_snapshot(change: dict[str, object]) -> None:
    changed = replace(MACHINE, **change)  # type: ignore[arg-type]
    assert snapshot_key(changed, "made", "7.2") == snapshot_key(MACHINE, "made", "7.2")


def test_the_place_of_the_appliances_own_qemu_does_not_matter_but_its_being_there_does() -> None:
    keys = {
        snapshot_key(replace(MACHINE, qemu=folder), "made", "10.0.2")
        for folder in (None, Path("/cache/qemu"), Path("/elsewhere/qemu"))
    }
    assert len(keys) == 2


@pytest.mark.parametrize("change", OTHER)
def test_another_machine_has_another_snapshot(change: dict[str, object]) -> None:
    changed = replace(MACHINE, **change)  # type: ignore[arg-type]
    assert snapshot_key(changed, "made", "7.2") != snapshot_key(MACHINE, "made", "7.2")


@pytest.mark.parametrize(("made_from", "version"), [("other", "7.2"), ("made", "10.0")])
def test_another_image_or_qemu_has_another_snapshot(made_from: str, version: str) -> None:
    assert snapshot_key(MACHINE, made_from, version) != snapshot_key(MACHINE, "made", "7.2")


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("TOOLS/warm", True),
        ("TOOLS/parts/b.py", True),
        ("BPF/kernel/c.h", True),
        ("TOOLS/send", False),
        ("TOOLS/parts/__pycache__/b.pyc", False),
    ],
)
def test_a_snapshot_depends_on_what_warms_it_and_what_that_compiles(
    name: str, matters: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "TOOLS", tmp_path / "TOOLS")
    monkeypatch.setattr(snapshot, "BPF_FOLDER", tmp_path / "BPF")
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text("before")
    before = snapshot_key(MACHINE, "made", "7.2")
    file.write_text("after")
    assert (snapshot_key(MACHINE, "made", "7.2") != before) is matters
