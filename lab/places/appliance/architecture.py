"""What differs between processor architectures: one row each. amd64 is the one that is proved."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from lab.errors import CannotRun


@dataclass(frozen=True, slots=True)
class Architecture:
    """Names of one architecture in Debian's, QEMU's and the kernel's tongue."""

    debian: str
    kernel_package: str
    qemu: str
    machine: str
    console: str
    #: The processor QEMU shows the guest when it emulates one. 5-level page tables and AVX cost
    #: emulation time and give the lab nothing.
    emulated_cpu: str
    wheel_platforms: tuple[str, ...]


ARCHITECTURES = {
    "x86_64": Architecture(
        debian="amd64",
        kernel_package="linux-image-amd64",
        qemu="qemu-system-x86_64",
        machine="q35",
        console="ttyS0",
        # cx16: after cmpxchg16b QEMU 7.2 may hand an interrupt flags that never were, and the guest
        # dies of a double fault. Without the instruction the kernel takes another way.
        # erms, fsrm: emulated, an instruction for strings goes octet by octet; the kernel's other
        # ways of clearing and copying a page take eight at a time.
        # smap, pku: each change of what may be touched throws away translations of addresses.
        emulated_cpu="max,la57=off,cx16=off,erms=off,fsrm=off,smap=off,pku=off",
        wheel_platforms=("manylinux_2_28_x86_64", "manylinux2014_x86_64"),
    ),
}


def this_architecture() -> Architecture:
    """Return this box's row. Raises CannotRun when it has none."""
    machine = platform.machine()
    try:
        return ARCHITECTURES[machine]
    except KeyError:
        known = ", ".join(ARCHITECTURES)
        raise CannotRun(
            f"the appliance is not made for {machine} (only for {known}). "
            "Run the lab on this box's own kernel instead: --place here"
        ) from None
