"""The Python that a user's commands and daemons get where the kernel tests run.

In the appliance that is the warm one, which has the project imported already.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab.interpreters import CHOICE, WARM_PYTHON
from lab.places.choose import INSIDE

PYTHON = WARM_PYTHON if Path(WARM_PYTHON).exists() else sys.executable

ENVIRONMENT = {
    **os.environ,
    INSIDE: "1",
    # Else nothing is chosen: a tracer's Python is another one on an ordinary box.
    **({CHOICE: WARM_PYTHON} if PYTHON == WARM_PYTHON else {}),
}


def lab_command(*words: str) -> list[str]:
    """Give the argument vector of an ``l2tp-lab`` command."""
    return [PYTHON, "-m", "lab", *words]
