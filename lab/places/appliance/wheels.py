"""Which third-party Python packages the guest gets: the host's own versions of them.

The guest reaches no package index, so the host brings the wheels. They are pinned to what this
environment has installed, so that both sides run the same code.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.errors import CannotRun
from lab.places.appliance.paths import default_cache

# The packages that read packages are imported late: most commands have no use for them, and
# their imports take as long as all else that a command does on this side.
if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

PROJECT = "l2tp-lab"


#: What was found, and in which state of which folders of packages.
_MEMORY = "wheels.json"


def guest_wheels(python: str) -> list[str]:
    """Return ``name==version`` for the project's dependencies and its test tools, and for theirs.

    ``python`` is the guest's version, such as ``3.13``: markers are judged for it. It is remembered
    as long as nothing was installed or removed. Raises CannotRun when one of them is not installed
    here.
    """
    memory = default_cache().root / _MEMORY
    state = [python, sys.version, *_folders()]
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(memory.read_text())
        if known["state"] == state:
            return [str(line) for line in known["wheels"]]
    wheels = _look(python)
    with suppress(OSError):
        temporary = memory.with_name(f"{_MEMORY}.{os.getpid()}")
        temporary.write_text(json.dumps({"state": state, "wheels": wheels}))
        temporary.replace(memory)
    return wheels


def _folders() -> Iterator[str]:
    """Name the folders of packages, with the time at which one came or went."""
    for entry in sys.path:
        with suppress(OSError):
            yield f"{entry} {os.stat(entry or '.').st_mtime_ns}"  # noqa: PTH116


def _look(python: str) -> list[str]:
    from packaging.markers import default_environment

    environment = {k: str(v) for k, v in default_environment().items()} | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
    }
    found: dict[str, str] = {}
    pending = _requirements(_find(PROJECT), environment, {"", "test"})
    while pending:
        requirement = pending.pop()
        if requirement.name.lower() in found:
            continue
        package = _find(requirement.name)
        found[requirement.name.lower()] = f"{requirement.name}=={package.version}"
        pending += _requirements(package, environment, {"", *requirement.extras})
    return sorted(found.values(), key=str.lower)


def _requirements(
    package: Distribution, environment: dict[str, str], extras: set[str]
) -> list[Requirement]:
    from packaging.requirements import Requirement

    parsed = (Requirement(line) for line in package.requires or [])
    return [
        requirement
        for requirement in parsed
        if requirement.marker is None
        or any(requirement.marker.evaluate(environment | {"extra": extra}) for extra in extras)
    ]


def _find(name: str) -> Distribution:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution(name)
    except PackageNotFoundError:
        raise CannotRun(
            f"the Python package {name} is not installed in this environment. "
            "Run: .venv/bin/pip install --editable '.[host,test]'"
        ) from None
