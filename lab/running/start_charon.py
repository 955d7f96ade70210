"""Starts a charon that sees its own folder only: ``python -m lab.running.start_charon HOME``.

HOME lies over the box's /etc/swanctl and /etc/strongswan.d, and /run is empty but for HOME, so a
lab's charon can neither read nor disturb the box's own (its charon.pid, its vici socket).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from l2tp.kernel.namespaces import enter_covered
from l2tp.protocol.errors import KernelError

_PROGRAM = "charon-systemd"
_COVERED = (Path("/etc/swanctl"), Path("/etc/strongswan.d"))


def main(home: Path) -> None:
    """Become charon; does not return."""
    os.environ["STRONGSWAN_CONF"] = str(home / "strongswan.conf")
    os.environ["SWANCTL_DIR"] = str(home)
    try:
        enter_covered(dict.fromkeys(_COVERED, home), home)
        os.execvp(_PROGRAM, [_PROGRAM])
    except KernelError as error:
        sys.exit(str(error))
    except FileNotFoundError:
        sys.exit(f"there is no {_PROGRAM}. Run: apt-get install charon-systemd")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
