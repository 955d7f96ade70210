"""What is imported, and whether it is still what the files say."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

PROJECT = os.environ.pop("L2TP_LAB_WARM_PROJECT", "/opt/l2tp-lab")

#: The project's packages: all of them are imported, and again when a file of theirs has changed.
PACKAGES = ("lab", "l2tp", "probes")

#: Left out: what runs when it is imported, and what only the host does.
LEFT_OUT = ("lab.bench", "lab.places.appliance", "lab.playbooks", "lab.setup")

#: What the project imports late, or not at all by itself. A missing one is only not warm.
OTHERS = ("asyncio", "bcc", "jinja2", "importlib.metadata", "lzma", "tomllib", "runpy")

#: Parts of pyroute2, which lab.network.netlink imports one by one and which know its classes.
NETLINK = "pyroute2"
NETLINK_PARTS = (
    *("iproute.linux", "netlink.generic.l2tp", "netlink.nlsocket", "netlink.rtnl.ifinfmsg"),
    *("netlink.rtnl.ifaddrmsg", "netlink.rtnl.rtmsg", "netlink.rtnl.tcmsg"),
)

Facts = tuple[int, int, int, int]


def facts(path: str) -> Facts | None:
    """Tell a file's content from another one's without reading it; None when it is gone."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a hundred of them for each start
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def preload() -> dict[str, Facts | None]:
    """Import everything; gives the facts of each project file from before it was read."""
    before = {str(path): facts(str(path)) for path in Path(PROJECT).glob("*/**/*.py")}
    for name in OTHERS:
        _import(name)
    for package in PACKAGES:
        found = _import(package)
        if found is not None:
            for module in pkgutil.walk_packages(found.__path__, f"{package}."):
                if module.name.endswith(".__main__"):
                    _compile(module.name)
                elif not module.name.startswith(LEFT_OUT):
                    _import(module.name)
    netlink = sys.modules.get("lab.network.netlink")
    for name in NETLINK_PARTS if netlink is not None else ():
        with contextlib.suppress(Exception):
            netlink.part(name)  # type: ignore[union-attr]
    paths = [getattr(module, "__file__", None) for module in sys.modules.values()]
    return {path: before[path] for path in paths if path in before}


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        print(f"warm-server: {name} is not warm: {error}", file=sys.stderr)
        return None


def _compile(name: str) -> None:
    """Have a main module's bytecode written: it runs anew in each fork."""
    with contextlib.suppress(Exception):
        spec = importlib.util.find_spec(name)
        spec.loader.get_code(name)  # type: ignore[union-attr]


def is_stale(known: dict[str, Facts | None]) -> bool:
    """Tell whether a file that a preloaded module came from is not what it was."""
    return any(facts(path) != was for path, was in known.items())


def renew() -> dict[str, Facts | None]:
    """Import every module of the project anew, here, so that each fork has it; gives the facts."""
    roots = (*PACKAGES, NETLINK)
    for name in [name for name in sys.modules if name.partition(".")[0] in roots]:
        del sys.modules[name]
    forget_folders()
    gc.unfreeze()
    known = preload()
    settle()
    return known


def forget_folders() -> None:
    """Have the project's folders read anew: a module may be there that was not."""
    for path, finder in sys.path_importer_cache.items():
        if path.startswith(PROJECT) and finder is not None:
            finder.invalidate_caches()  # type: ignore[attr-defined]


def settle() -> None:
    """Free what nobody holds, and keep the collector from touching the pages that forks share."""
    gc.collect()
    gc.freeze()
