"""What the kernel's packet filter has counted in a namespace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lab.errors import CannotRun
from lab.instruments.kernelview import run_in


def counted(netns: str, table: str, *chains: str) -> int:
    """Add up the packets of the counters in chains of a table of family inet.

    Raises CannotRun with nft's own words when it does not tell.
    """
    done = run_in(netns, ["nft", "--json", "list", "table", "inet", table])
    if done.returncode != 0:
        raise CannotRun(f"nft in {netns}: {done.stderr.strip()}")
    return sum(read_counters(done.stdout, chains))


def read_counters(text: str, chains: tuple[str, ...]) -> Iterator[int]:
    """Read the packets of each counter out of nft's JSON (libnftables-json(5))."""
    objects: list[dict[str, Any]] = json.loads(text)["nftables"]
    for rule in (one["rule"] for one in objects if "rule" in one):
        for part in rule["expr"] if rule["chain"] in chains else ():
            if "counter" in part:
                yield part["counter"]["packets"]
