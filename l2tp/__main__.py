"""python -m l2tp lac|lns --config FILE: run a daemon in the foreground."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

USAGE: Final = "usage: python3 -m l2tp lac|lns --config FILE"

_PASSED: Final = 0
_WRONG_INPUT: Final = 2
_CANNOT_RUN: Final = 4


def main(arguments: list[str]) -> int:
    """Run the daemon that the arguments name; returns the exit code (0, 2 or 4)."""
    if arguments in (["--help"], ["-h"]):
        sys.stdout.write(f"{USAGE}\n")
        return _PASSED
    role, path = _parse(arguments)
    if role is None or path is None:
        sys.stderr.write(f"{USAGE}\n")
        return _WRONG_INPUT
    # The daemon's modules are imported only when there is something to run.
    from l2tp.config.toml_table import ConfigurationError
    from l2tp.daemon.launch import launch
    from l2tp.protocol.errors import L2tpError

    try:
        launch(role, path)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG_INPUT
    except L2tpError as error:
        sys.stderr.write(f"{error}\n")
        return _CANNOT_RUN
    except OSError as error:
        sys.stderr.write(f"cannot run here: {error}\n")
        return _CANNOT_RUN
    return _PASSED


def _parse(arguments: list[str]) -> tuple[str | None, Path | None]:
    match arguments:
        case [("lac" | "lns") as role, "--config", path]:
            return role, Path(path)
        case ["--config", path, ("lac" | "lns") as role]:
            return role, Path(path)
    return None, None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
