"""Brings this checkout's code into a machine, and its clock up to date."""

from __future__ import annotations

import time
from collections.abc import Mapping

from lab.places.appliance import code
from lab.places.appliance.connection import Connection

#: Sent along, because the guest may hold an older one.
_RECEIVE = code.TOOLS / "receive"

#: How tar writes that nothing follows.
_EMPTY_TAR = bytes(1024)


def push(
    connection: Connection, there: Mapping[str, str], *, set_clock: bool = True
) -> dict[str, str]:
    """Send what differs from the tree ``there``, and return the tree that is there now.

    ``set_clock``: the guest's clock stood still while it lay in a snapshot. Raises MachineLost.
    """
    tree = code.read_tree()
    archive = code.pack(tree, there)
    if archive or set_clock:
        argv = ["busybox", "sh", "-c", _RECEIVE.read_text(), "receive", f"{time.time():.3f}"]
        connection.call(argv, data=archive or _EMPTY_TAR)
    return tree
