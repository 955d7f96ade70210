"""What is imported, and whether it is still what the files say."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import itertools
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from warm_python.kernel import libc

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

#: What the project finds out at each start, and a fork need not: functions without arguments.
#: They keep nothing that a fork does not have, such as a descriptor.
REMEMBERED = (("l2tp.ppp.options", "remember"), ("probes.remember", "remember"))

#: What they read of the project: as good as code.
READ = "*/**/*.j2"

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
    read = {str(path): facts(str(path)) for path in Path(PROJECT).glob(READ)}
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
    for module_name, function in REMEMBERED:
        with contextlib.suppress(Exception):  # what cannot be had here, nobody misses here
            getattr(sys.modules[module_name], function)()
    paths = [getattr(module, "__file__", None) for module in sys.modules.values()]
    return {path: before[path] for path in paths if path in before} | read


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
    """Free what nobody holds, and keep forks from writing to the pages that they share."""
    gc.collect()
    gc.freeze()  # what the collector marks as seen it writes to
    if next(_settled) < _IMMORTAL_TIMES:
        make_immortal()
    with contextlib.suppress(AttributeError):  # another C library has none
        libc.malloc_trim(0)  # what is free costs each fork the same as what is not


#: What was imported before a change stays in memory when it is immortal, so that this has an end.
_IMMORTAL_TIMES = 5
_settled = itertools.count()

#: A reference count that the interpreter leaves alone (PEP 683; Include/refcount.h of 3.12, 3.13).
_IMMORTAL = 0xFFFFFFFF


def make_immortal() -> int:
    """Let no use of what is here write to it; returns how many objects that are.

    A use counts references, in the object itself: a fork that only looks at what it shares copies
    it, a page at a time. What this server has is never freed, and none of it needs counting. Where
    the interpreter has no such count, or another one, nothing happens.
    """
    count_of = ctypes.c_uint32.from_address
    if sys.implementation.name != "cpython" or count_of(id(None)).value != _IMMORTAL:
        return 0
    gc.unfreeze()  # frozen ones are not listed
    fresh: list[object] = gc.get_objects()
    gc.freeze()
    seen: set[int] = set()
    while fresh:
        found = {id(one): one for one in fresh if id(one) not in seen}
        seen.update(found)
        fresh = gc.get_referents(*found.values())
        for address in found:
            count_of(address).value = _IMMORTAL
    return len(seen)
