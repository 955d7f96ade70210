"""Asks for programs and libraries that the lab drives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from lab.doctor.model import Answer, Finding, no, unknown, yes
from lab.interpreters import DEBIAN_PYTHON, environment

_PPPD_PLUGINS = ("/usr/lib/pppd", "/usr/lib/x86_64-linux-gnu/pppd", "/usr/lib64/pppd")
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

#: pppd and friends live in sbin, which an ordinary user's PATH leaves out.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"


def find_program(name: str) -> str | None:
    """Find a program by name, in the system directories too."""
    return shutil.which(name, path=_PATH)


def program(name: str, package: str, version: str | None = "--version") -> Finding:
    """Look for a program, and ask it for its version where it has an option for that."""
    path = find_program(name)
    if path is None:
        return no("not installed", f"apt install {package}")
    if version is None:
        return yes(path)
    done = subprocess.run([path, version], capture_output=True, text=True, timeout=60, check=False)
    lines = (done.stdout or done.stderr).strip().splitlines()
    return yes(lines[0][:60] if lines else path)


def debian_keys() -> Finding:
    """Look for the keys that Debian's archive is signed with: the appliance is made from it."""
    if DEBIAN_KEYS.exists():
        return yes(str(DEBIAN_KEYS))
    return no(f"no {DEBIAN_KEYS}", "apt install debian-archive-keyring")


def pppd_plugin() -> Finding:
    """Look for pppd's pppol2tp plugin."""
    for folder in _PPPD_PLUGINS:
        for plugin in sorted(Path(folder).glob("*/pppol2tp.so")):
            return yes(str(plugin))
    return no("no pppol2tp.so", "apt install ppp")


def bcc() -> Finding:
    """Look for Debian's bcc bindings; the package called bcc elsewhere is something else."""
    if not Path(DEBIAN_PYTHON).exists():
        return no(f"no {DEBIAN_PYTHON}", "apt install python3 python3-bpfcc")
    done = subprocess.run(
        [DEBIAN_PYTHON, "-c", "import bcc; bcc.BPF; print(bcc.__version__)"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 0:
        return yes(f"bcc {done.stdout.strip()} for {DEBIAN_PYTHON}")
    return no(f"{DEBIAN_PYTHON} has no bcc", "apt install python3-bpfcc")


def fentry_on_modules() -> Finding:
    """Ask the probes whether bcc and the kernel can attach fentry to a module's function."""
    if (found := bcc()).answer is Answer.NO:
        return unknown("bcc is not there to ask", found.cure)
    done = subprocess.run(
        [DEBIAN_PYTHON, "-m", "probes", "features", "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment(),
    )
    try:
        features = {row["name"]: row for row in json.loads(done.stdout)["features"]}
        row = features["fentry_on_modules"]
    except (ValueError, KeyError, TypeError):
        return unknown("the probes could not be asked", f"{DEBIAN_PYTHON} -m probes features")
    if row["available"]:
        return yes(row.get("detail") or "proved by attaching")
    return no(row.get("reason", ""), row.get("cure") or "kprobes are used instead")
