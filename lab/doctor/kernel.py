"""Asks the running kernel for features, by trying them where that is cheap and safe.

What is tried is tried in a network namespace that ends with the process that made it.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from functools import cache
from pathlib import Path

from lab.doctor.model import Finding, no, unknown, yes
from lab.doctor.programs import find_program
from lab.sudo import l2tp_lab, may_become_root

_TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))


def root() -> Finding:
    """Tell whether this user may create namespaces and attach probes, if need be through sudo."""
    if os.geteuid() == 0:
        return yes("uid 0")
    if may_become_root():
        return yes(f"uid {os.geteuid()}, through sudo")
    return no(f"uid {os.geteuid()}, and sudo is not for this user", "run it as root")


@cache
def module_state(name: str) -> str | None:
    """Say whether a kernel module is loaded, built in, loadable, or (None) not there."""
    if Path("/sys/module", name).exists():
        return "loaded"
    folder = Path("/lib/modules", platform.release())
    for listing, state in (("modules.builtin", "built in"), ("modules.dep", "loadable")):
        if _listed(folder / listing, name):
            return state
    return None


def _listed(listing: Path, name: str) -> bool:
    try:
        lines = listing.read_text().splitlines()
    except OSError:
        return False
    stems = (Path(line.split(":")[0]).name.split(".ko")[0] for line in lines)
    return any(stem.replace("-", "_") == name for stem in stems)


def module(name: str) -> Finding:
    """Look for a kernel module."""
    state = module_state(name)
    if state:
        return yes(state)
    return no(f"not in kernel {platform.release()}", _cure_by_loading(name))


def _cure_by_loading(name: str) -> str:
    """Name what brings a module: loading it, where there is one to load."""
    if module_state(name) == "loadable":
        return f"modprobe {name}"
    release = platform.release()
    if not Path("/lib/modules", release).is_dir():
        return f"boot a kernel that has modules (no /lib/modules/{release})"
    if _distribution() == "ubuntu":
        return f"apt install linux-modules-extra-{release}"
    return "install the full kernel, and boot it: apt install linux-image-amd64 (not -cloud)"


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def dev_ppp() -> Finding:
    """Look for the character device of ppp_generic."""
    if Path("/dev/ppp").exists():
        return yes("/dev/ppp")
    if module_state("ppp_generic") == "loadable":
        return yes("appears with ppp_generic")
    if module_state("ppp_generic"):
        # The driver is there, and its device is not: a container, or a /dev made by hand.
        return no("no /dev/ppp", "mknod -m 600 /dev/ppp c 108 0")
    return no("no /dev/ppp", _cure_by_loading("ppp_generic"))


def netns() -> Finding:
    """Make a network namespace that ends at once."""
    return _try([], "a new network namespace", "allow CLONE_NEWNET (not inside this container)")


def veth() -> Finding:
    """Make a veth pair inside a namespace that ends at once."""
    add = ["ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1"]
    return _try(add, "a veth pair", _cure_by_loading("veth"))


def netem() -> Finding:
    """Set a delay on the loopback of a namespace that ends at once."""
    add = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    return _try(add, "a netem delay", _cure_by_loading("sch_netem"))


def _try(command: list[str], what: str, cure: str) -> Finding:
    words = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--"]
    line = []
    for part in (words, command or ["true"]):
        path = find_program(part[0])
        if path is None:
            return unknown(f"no {part[0]} to try with", "apt install util-linux iproute2")
        line += [path, *part[1:]]
    done = subprocess.run(
        line,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 0:
        return yes(f"made {what}")
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    # Some boxes refuse this to ordinary users alone.
    return no(reason, cure) if os.geteuid() == 0 else unknown(reason, _ask_as_root())


def _ask_as_root() -> str:
    line = shlex.join(l2tp_lab(["doctor"]))
    return f"sudo {line}" if find_program("sudo") else f"ask as root: {line}"


def kprobes() -> Finding:
    """Look for kprobes, by event source and by tracefs."""
    if Path("/sys/bus/event_source/devices/kprobe").exists() or any(
        (folder / "kprobe_events").exists() for folder in _TRACEFS
    ):
        return yes("kprobe events")
    return no("kernel without CONFIG_KPROBE_EVENTS", "boot a stock kernel")


def btf() -> Finding:
    """Look for the kernel's own type information."""
    vmlinux = Path("/sys/kernel/btf/vmlinux")
    if vmlinux.exists():
        return yes(f"{vmlinux} ({vmlinux.stat().st_size // 1024} KiB)")
    return no(f"no {vmlinux}", "boot a kernel with CONFIG_DEBUG_INFO_BTF")


def tracepoints() -> Finding:
    """Look for the driver's tracepoints (``l2tp:*``), which come with l2tp_core."""
    for folder in _TRACEFS:
        try:
            if (folder / "events" / "l2tp").exists():
                return yes(f"{folder}/events/l2tp")
            if (folder / "events").exists() and module_state("l2tp_core") == "loadable":
                return yes("appear with l2tp_core")
        except PermissionError:
            return unknown(f"{folder} is readable by root only", _ask_as_root())
    mounted = any((folder / "events").exists() for folder in _TRACEFS)
    if module_state("l2tp_core") is None or mounted:
        return no("no l2tp events in tracefs", _cure_by_loading("l2tp_core"))
    if _TRACEFS[0].exists():
        return no("tracefs is not mounted", f"mount -t tracefs tracefs {_TRACEFS[0]}")
    return no("kernel without tracefs", "boot a stock kernel")
