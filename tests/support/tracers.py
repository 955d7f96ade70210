"""A tracer that needs no kernel, for tests of who starts one and asks it."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.interpreters import PROJECT

# Stands for the interpreter of the tracer: serves one row, and which process it is.
_TRACER = f"""#!{sys.executable}
import os, sys
from pathlib import Path
sys.path.insert(0, "{PROJECT}")
from probes.figures.aggregate import figure_row
from probes.figures.events import FIGURE, FIGURE_KEY, FIGURE_SCALARS
from probes.server import Server

WORDS = [0] * (FIGURE.size // 8)
WORDS[2] = 3  # data, consumed
WORDS[FIGURE_SCALARS] = 3  # delivered
ROW = figure_row(FIGURE_KEY.pack(1, 7, 1, 2, 2), FIGURE.pack(*WORDS))

class MadeUp:
    def snapshot(self):
        return {{"figures": [ROW], "hooks": [], "losses": {{}}, "not_reconciled": "",
                "evicted_figures": 0, "costs_measured": False,
                "process": os.getpid(), "session": os.getsid(0)}}
    def measure_costs(self, on):
        return on
    def make_room(self):
        pass
    def close(self):
        pass

server = Server(MadeUp(), Path(sys.argv[sys.argv.index("--socket") + 1]))
print("probes: answering at it", file=sys.stderr, flush=True)
server.run()
"""


def made_up_tracer(folder: Path) -> str:
    """Write it; give its path, for the environment variable ``lab.interpreters.CHOICE``."""
    path = folder / "python"
    path.write_text(_TRACER)
    path.chmod(0o700)
    return str(path)
