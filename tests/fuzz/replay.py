"""Runs a target on files, without a fuzzer: ``python -m tests.fuzz.replay TARGET FILE…``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    for name in sys.argv[2:]:
        TARGETS[sys.argv[1]](Path(name).read_bytes())
