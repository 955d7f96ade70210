"""One target under libFuzzer: ``python -m tests.fuzz.instrumented TARGET [libFuzzer's words]``."""

from __future__ import annotations

import shlex
import sys

import atheris

# Whatever is imported in here reports which of its branches an input reached.
with atheris.instrument_imports(include=["l2tp"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    # To merge, libFuzzer starts itself anew through a shell, with this as the program.
    again = shlex.join([sys.executable, "-m", "tests.fuzz.instrumented", sys.argv[1]])
    atheris.Setup([again, *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
