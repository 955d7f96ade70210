"""Where output options lead: looked at before anything is begun for them."""

from __future__ import annotations

import os
from pathlib import Path

from lab.errors import UsageError


def require_writable(option: str, target: Path) -> None:
    """Raise UsageError unless ``target`` can be written, or made with the folders above it."""
    nearest = next(path for path in (target, *target.absolute().parents) if path.exists())
    if nearest != target and not nearest.is_dir():
        raise UsageError(f"--{option} {target}: {nearest} is a file, and no folder")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"--{option} {target}: you may not write to {nearest}")
