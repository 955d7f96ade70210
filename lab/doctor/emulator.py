"""Says which QEMU runs the guest: the box's, or a newer one that the appliance keeps."""

from __future__ import annotations

from lab.console import Console
from lab.doctor.model import Finding, no, unknown, yes
from lab.errors import LabError

_BUILD = "l2tp-lab appliance build"


def emulator() -> Finding:
    """Ask what the next start of a machine takes, and how many processors its guest has."""
    from lab.places.appliance.commands import find_emulator, prove_acceleration
    from lab.places.appliance.qemu import version_number

    try:
        verdict = prove_acceleration(Console(quiet=True))
        found = find_emulator(verdict) if verdict else None
    except LabError as error:
        return unknown(str(error), _BUILD)
    if verdict is None:
        return unknown("there is no kernel yet to boot a guest with", _BUILD)
    if found is None:
        return unknown("a newer one, for two processors, is fetched by the next start", _BUILD)
    whose = "the appliance's own" if found.folder else "the box's"
    many = "1 processor" if found.processors == 1 else f"{found.processors} processors"
    detail = f"{whose} {version_number(found.version)}, {many}"
    if found.instead:
        return no(f"{detail}: {found.instead}", f"emulation works with one; {_BUILD} tries again")
    return yes(f"{detail} ({found.folder})" if found.folder else detail)
