"""What is asked of a running QEMU through its monitor, by whoever seldom asks.

Its client brings asyncio along, so it is imported with the first question: a command in a machine
that runs has none.
"""

from __future__ import annotations

from pathlib import Path
from socket import socket


def save(monitor: Path, state: Path, deadline_s: float) -> None:
    """Write the guest's device state to a file and end QEMU; see ``qmp.save``."""
    from lab.places.appliance import qmp

    qmp.save(monitor, state, deadline_s)


def go_on(greeting: socket, state: Path, deadline_s: float) -> None:
    """Let a QEMU that waits for it go on from a saved device state; see ``qmp.go_on``."""
    from lab.places.appliance import qmp

    qmp.go_on(greeting, state, deadline_s)


def read_status(monitor: Path, deadline_s: float) -> str:
    """Return QEMU's own word for what the guest does, such as ``running``. Raises CannotRun."""
    from lab.places.appliance import qmp

    return qmp.read_status(monitor, deadline_s)
