"""pyroute2 without the parts of it that the lab does not use.

The package's own ``__init__`` imports all that it has to offer (nftables, ethtool, a database of
the network, sqlite3 …), which takes longer than making a whole network. So a bare package, which
knows where its modules are and nothing else, takes its place before the first of them is imported.
Whoever needs pyroute2 in the lab asks here, since ``from pyroute2 import …`` finds nothing in it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from lab.errors import CannotRun

PACKAGE = "pyroute2"


class _Bare(ModuleType):
    """A package whose ``__init__`` has not run."""


def part(name: str) -> Any:
    """Import a module of pyroute2 by its name inside the package, such as ``iproute.linux``.

    Raises CannotRun when there is no pyroute2.
    """
    if PACKAGE not in sys.modules:
        _make_bare()
    try:
        return import_module(f"{PACKAGE}.{name}")
    except (ImportError, AttributeError):
        if not isinstance(sys.modules.get(PACKAGE), _Bare):
            raise
    # Another pyroute2 than those that we know, whose parts need the whole: then the whole it is.
    for module in [m for m in sys.modules if m == PACKAGE or m.startswith(f"{PACKAGE}.")]:
        del sys.modules[module]
    return import_module(f"{PACKAGE}.{name}")


def _make_bare() -> None:
    spec = PathFinder.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise CannotRun(
            f"{sys.executable} has no pyroute2, which makes the network; "
            f"install it: {sys.executable} -m pip install pyroute2"
        )
    package = _Bare(PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[PACKAGE] = package


def iproute(netns: str) -> Any:
    """Open pyroute2's IPRoute in an existing namespace; a context manager.

    It never makes the namespace: that is what ``flags`` 0 says (the default is ``O_CREAT``).
    """
    return part("iproute.linux").IPRoute(netns=netns, flags=0)
