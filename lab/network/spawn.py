"""Start a program with posix_spawn: cheap, in the caller's namespace, its errors raised at once.

``subprocess`` would do, but its import alone costs more than building a whole lab's links.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence

# Python ignores these, and an ignored signal stays ignored across exec.
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    output: int,
    own_session: bool = False,
) -> int:
    """Start ``argv``, which reads nothing, and give its pid.

    ``output`` takes both its standard output and its standard error. Raises OSError when there is
    no such program.
    """
    return os.posix_spawnp(
        argv[0],
        list(argv),
        dict(os.environ if environment is None else environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ],
        setsid=own_session,
        setsigmask=(),
        setsigdef=_RESTORED,
    )
