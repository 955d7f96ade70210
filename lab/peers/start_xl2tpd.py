"""Starts an xl2tpd in a mount namespace of its own: ``python -m lab.peers.start_xl2tpd HOME``.

Its pppds read /etc/ppp and write to /run, as every pppd does; here those are this peer's own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from l2tp.kernel.namespaces import enter_private_mounts
from l2tp.protocol.errors import KernelError

_PROGRAM = "/usr/sbin/xl2tpd"


def argv(home: Path) -> list[str]:
    """Give xl2tpd's command line: in the foreground, all its files in ``home``."""
    return [
        _PROGRAM,
        "-D",
        *("-c", str(home / "xl2tpd.conf")),
        *("-s", str(home / "l2tp-secrets")),
        *("-p", str(home / "xl2tpd.pid")),
        *("-C", str(home / "control")),
    ]


def main(home: Path) -> None:
    """Become xl2tpd; does not return."""
    try:
        enter_private_mounts(home / "ppp", home)
        os.execv(_PROGRAM, argv(home))
    except KernelError as error:
        sys.exit(str(error))
    except FileNotFoundError:
        sys.exit(f"there is no {_PROGRAM}. Install it: apt-get install xl2tpd")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
