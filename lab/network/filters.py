"""Loads rules of nftables inside a namespace; they go with it."""

from __future__ import annotations

import os
from pathlib import Path

from lab.errors import CannotRun, LabError
from lab.network.namespaces import in_netns
from lab.network.plan import Ruleset
from lab.network.spawn import spawn


def load_ruleset(step: Ruleset, netns: int) -> None:
    """Have ``nft`` read a file inside the namespace of the descriptor ``netns``.

    Raises CannotRun without the program, LabError with its own words when it refuses.
    """
    log = Path(f"{step.path}.log")
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        pid = in_netns(netns, lambda: spawn(("nft", "-f", step.path), output=output))
    except FileNotFoundError:
        raise CannotRun("nft is missing. Run: apt-get install nftables") from None
    finally:
        os.close(output)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        said = " ".join(log.read_text(errors="replace").split())
        raise LabError(f"nft refused the rules of {step.netns}: {said}")
