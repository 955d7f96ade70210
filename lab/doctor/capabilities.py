"""The doctor's table: every capability, who needs it, and how it is asked for."""

from __future__ import annotations

from functools import partial

from lab.doctor import kernel, programs
from lab.doctor.emulator import emulator
from lab.doctor.kvm import kvm
from lab.doctor.model import Answer, Capability, Finding, Need
from lab.doctor.needs import NEEDS

_HERE = frozenset({Need.HERE})
_APPLIANCE = frozenset({Need.APPLIANCE})
_NOBODY: frozenset[Need] = frozenset()


def _module(name: str) -> Capability:
    return Capability(f"module {name}", partial(kernel.module, name), _HERE)


def _program(
    name: str, package: str, needed_by: frozenset[Need], version: str | None = "--version"
) -> Capability:
    ask = partial(programs.program, name, package, version)
    return Capability(name, ask, needed_by, (package,))


#: Kernel modules that a lab loads where the kernel does not load them by itself.
MODULES = ("l2tp_core", "l2tp_netlink", "l2tp_ppp", "pppox", "ppp_generic")

KERNEL = (
    Capability("root", kernel.root, _HERE),
    *(_module(name) for name in MODULES),
    Capability("/dev/ppp", kernel.dev_ppp, _HERE),
    Capability("netns", kernel.netns, _HERE),
    Capability("veth", kernel.veth, _HERE),
    Capability("netem", kernel.netem, _HERE),
    Capability("kprobes", kernel.kprobes, _HERE),
    Capability("BTF", kernel.btf, _HERE),
    Capability("l2tp tracepoints", kernel.tracepoints, _HERE),
)

PROGRAMS = (
    Capability("bcc", programs.bcc, _HERE, ("python3-bpfcc",)),
    Capability("fentry on modules", programs.fentry_on_modules, _NOBODY),
    _program("pppd", "ppp", _HERE),
    Capability("pppol2tp plugin", programs.pppd_plugin, _HERE, ("ppp",)),
    _program("iperf3", "iperf3", _HERE),
    _program("tcpdump", "tcpdump", _HERE),
    _program("ping", "iputils-ping", _HERE, "-V"),
    _program("ip", "iproute2", _HERE, "-V"),
    _program("nsenter", "util-linux", _HERE),
    _program("modprobe", "kmod", _HERE),
)

SOME_TOPOLOGIES = tuple(
    _program(need.program, need.package, _NOBODY, need.version) for need in NEEDS
)

HOST = (
    _program("qemu-system-x86_64", "qemu-system-x86", _APPLIANCE),
    _program("qemu-img", "qemu-utils", _APPLIANCE),
    _program("mmdebstrap", "mmdebstrap", _APPLIANCE),
    _program("genext2fs", "genext2fs", _APPLIANCE, None),
    _program("depmod", "kmod", _APPLIANCE),
    Capability("keys of Debian", programs.debian_keys, _APPLIANCE, ("debian-archive-keyring",)),
    _program("ssh", "openssh-client", _APPLIANCE, "-V"),
    _program("newuidmap", "uidmap", _APPLIANCE, None),
    Capability("KVM", kvm, _NOBODY),
    Capability("QEMU of the guest", emulator, _NOBODY),
)

SECTIONS = {
    "this kernel": KERNEL,
    "programs for a lab here": PROGRAMS,
    "programs that only some topologies need": SOME_TOPOLOGIES,
    "programs for the appliance": HOST,
}


def missing(need: Need, *, installable: bool) -> list[tuple[Capability, Finding]]:
    """Ask for what a place needs, and return what is not there, with its findings.

    ``installable`` picks what packages bring; without it, what only another kernel (or root) has.
    """
    rows = (
        row
        for section in SECTIONS.values()
        for row in section
        if need in row.needed_by and bool(row.packages) is installable
    )
    asked = ((row, row.ask()) for row in rows)
    return [(row, finding) for row, finding in asked if finding.answer is Answer.NO]
