"""QEMU's argument vector, from what a machine is to be; pure."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CannotRun
from lab.places.appliance.architecture import Architecture

#: Tells the guest's first process to say that the kernel is up, and to end.
PROBE = "l2tp_lab.probe"

#: Where slirp puts the guest, and the guest's SSH port.
_GUEST_SSH = "10.0.2.15:22"

#: The kinds of processor beside "kvm" and "tcg": emulated, and each instruction takes the guest one
#: nanosecond of its time. What else the box does makes such a guest slower, and changes no figure.
COUNTED = "counted"

#: Translated code is kept up to this size. At 64 a few commands filled it, and all of it was
#: translated anew (40 times in 30 commands); a larger one is what an emulated machine then holds.
TRANSLATION_CACHE_MIB = 96

#: The processors of a guest, where QEMU can run more than one.
PROCESSORS = 2

_KERNEL_ARGUMENTS = (
    "quiet",
    "panic=-1",
    "mitigations=off",
    "net.ifnames=0",
    "nowatchdog",
    "audit=0",
    # Huge pages cost an emulated machine their clearing, and a thread that looks for more.
    "transparent_hugepage=never",
    "random.trust_cpu=on",
    # Whatever goes away waits for the other processors: namespaces, links, and each probe, one
    # after the other. Asked to say so at once instead of at their next tick, they do.
    "rcupdate.rcu_expedited=1",
)


@dataclass(frozen=True, slots=True)
class Memory:
    """The guest's memory, in MiB; kept in a file when it comes from a snapshot, or goes into one.

    A snapshot is taken with the file ``shared``, and used with private copies of its pages.
    """

    mib: int = 1024
    file: Path | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """All that an argument vector says."""

    name: str
    architecture: Architecture
    acceleration: str
    kernel: Path
    initramfs: Path
    #: Without one the guest gets no further than its first process, which a probe does not need.
    disk: Path | None
    modules: Path
    pid_file: Path
    monitor: Path
    log: Path
    port: int
    memory: Memory = Memory()
    cpus: int = 1
    #: The device state to go on from, as ``migrate`` wrote it.
    incoming: Path | None = None
    kernel_arguments: tuple[str, ...] = ()
    #: For translated code, see TRANSLATION_CACHE_MIB.
    translated_mib: int = TRANSLATION_CACHE_MIB
    #: The folder of a QEMU and its firmware, where it is not the box's.
    qemu: Path | None = None


def arguments(machine: Machine, console_fd: int, greeting_fd: int) -> list[str]:
    """Return the argument vector.

    ``console_fd`` and ``greeting_fd`` are connected sockets that QEMU inherits: one carries the
    serial console's output, the other a second monitor whose greeting says that QEMU serves.
    """
    architecture = machine.architecture
    return [
        *_program(machine),
        *("-name", machine.name),
        *("-pidfile", str(machine.pid_file)),
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        *("-display", "none"),
        *("-machine", f"{architecture.machine},memory-backend=ram,vmport=off"),
        *_processor(machine),
        *("-smp", str(machine.cpus)),
        *_memory(machine.memory),
        *("-kernel", str(machine.kernel)),
        *("-initrd", str(machine.initramfs)),
        *("-append", _command_line(machine)),
        *(_disk("root", "qcow2", machine.disk, read_only=False) if machine.disk else []),
        *_disk("modules", "raw", machine.modules, read_only=True),
        *("-netdev", _network(machine.port)),
        *("-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
        *("-device", "vmgenid,guid=auto"),
        *("-chardev", f"socket,id=console,fd={console_fd},logfile={_value(machine.log)}"),
        *("-serial", "chardev:console"),
        *("-chardev", f"socket,id=greeting,fd={greeting_fd}"),
        *("-mon", "chardev=greeting,mode=control"),
        *("-qmp", f"unix:{_value(machine.monitor)},server=on,wait=off"),
        *(["-incoming", "defer"] if machine.incoming else []),
    ]


def port_of(argv: tuple[str, ...] | list[str]) -> int:
    """Read the forwarded port back from a running machine's arguments; 0 without one."""
    match = re.search(r"hostfwd=tcp:127\.0\.0\.1:(\d+)-", "\n".join(argv))
    return int(match[1]) if match else 0


def processors(acceleration: str, version: str) -> int:
    """Return how many processors a guest may have.

    Before 8.1 an emulated processor could keep a translation of code that another one was just
    patching (QEMU commit deba78709ae8, "accel/tcg: Always lock pages before translation"). Linux
    patches itself whenever a static key or a kprobe is switched, and then dies of a stray int3:
    one boot in ten on a busy box. With one processor there is nobody to race with.
    """
    match = re.search(r"version (\d+)\.(\d+)", version)
    known = (int(match[1]), int(match[2])) if match else (0, 0)
    return 1 if acceleration == "tcg" and known < (8, 1) else PROCESSORS


def read_version(qemu: str) -> str:
    """Return the box's QEMU's version line. Raises CannotRun when it is not installed."""
    try:
        return ask_version(qemu)
    except CannotRun:
        raise CannotRun(
            f"{qemu} is missing or broken. Run: apt-get install qemu-system-x86 qemu-utils"
        ) from None


def ask_version(program: str) -> str:
    """Start a QEMU for its version line. Raises CannotRun with its own words when it does not."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotRun(f"{program} does not start: {error.strerror}") from error
    if done.returncode != 0 or not done.stdout:
        told = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise CannotRun(f"it does not start: {told}")
    return done.stdout.splitlines()[0]


def version_number(version: str) -> str:
    """Return the number of a version line, such as ``7.2.22``; the whole line where it has none."""
    match = re.search(r"version (\S+)", version)
    return match[1] if match else version


def _program(machine: Machine) -> list[str]:
    program = machine.architecture.qemu
    if machine.qemu is None:
        return [program]
    return [str(machine.qemu / program), "-L", str(machine.qemu)]


def _processor(machine: Machine) -> list[str]:
    if machine.acceleration == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    counted = machine.acceleration == COUNTED
    threads = "single" if counted else "multi"  # instructions are counted in one thread only
    emulation = f"tcg,thread={threads},tb-size={machine.translated_mib}"
    clock = ["-icount", "shift=0,sleep=off"] if counted else []
    return ["-accel", emulation, *clock, "-cpu", machine.architecture.emulated_cpu]


def _command_line(machine: Machine) -> str:
    console = f"console={machine.architecture.console}"
    return " ".join([console, *_KERNEL_ARGUMENTS, *machine.kernel_arguments])


def _memory(memory: Memory) -> list[str]:
    size = f"id=ram,size={memory.mib}M"
    if memory.file is None:
        backend = f"memory-backend-ram,{size}"
    else:
        share = "on" if memory.shared else "off"
        backend = f"memory-backend-file,{size},mem-path={_value(memory.file)},share={share}"
    return ["-m", str(memory.mib), "-object", backend]


def _disk(name: str, kind: str, path: Path, *, read_only: bool) -> list[str]:
    switch = "on" if read_only else "off"
    drive = (
        f"if=none,id={name},format={kind},file={_value(path)},readonly={switch},cache=unsafe,"
        "discard=unmap"
    )
    return ["-drive", drive, "-device", f"virtio-blk-pci,drive={name},serial={name}"]


def _network(port: int) -> str:
    forward = f"hostfwd=tcp:127.0.0.1:{port}-{_GUEST_SSH}"
    return f"user,id=net,restrict=on,ipv6=off,{forward}"


def _value(path: Path) -> str:
    """Write a path as an option's value, in which a comma is doubled."""
    return str(path).replace(",", ",,")
