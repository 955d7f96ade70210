"""Says whether KVM works on this box, as proved by booting a guest with it."""

from __future__ import annotations

from pathlib import Path

from lab.console import Console
from lab.doctor.model import Finding, no, unknown, yes
from lab.errors import LabError

_CURE = "enable virtualisation in the firmware, modprobe kvm_intel or kvm_amd; emulation works too"


def kvm() -> Finding:
    """Ask for the verdict of this boot; boot a guest both ways where there is none yet."""
    from lab.places.appliance.commands import prove_acceleration

    if not Path("/dev/kvm").exists():
        return no("no /dev/kvm", _CURE)
    try:
        verdict = prove_acceleration(Console(quiet=True))
    except LabError as error:
        return unknown(str(error), "l2tp-lab appliance start")
    if verdict is None:
        return unknown("there is no kernel yet to boot a guest with", "l2tp-lab appliance build")
    return yes(verdict.reason) if verdict.acceleration == "kvm" else no(verdict.reason, _CURE)
