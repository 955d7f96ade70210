"""Importing only those parts of pyroute2 that are used, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(script: str, *, before: Path | None = None) -> str:
    """Run a script in a fresh interpreter, since what is imported stays imported."""
    folders = [str(path) for path in (before, ROOT) if path is not None]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {folders!r}\n{script}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_messages_bring_neither_asyncio_nor_the_rest_of_the_package() -> None:
    script = """
from lab.network.netlink import part
part("netlink.rtnl.ifinfmsg"), part("netlink.rtnl.rtmsg"), part("netlink.marshal")
heavy = ("asyncio", "ssl", "subprocess", "sqlite3", "unittest", "pyroute2.ndb", "pyroute2.iproute")
print([name for name in heavy if name in sys.modules])
"""
    assert run(script) == "[]"


def test_all_parts_that_the_lab_uses_are_found_in_a_bare_package() -> None:
    script = """
from lab.network.netlink import _Bare, part
part("iproute.linux").IPRoute, part("netlink.generic.l2tp").AsyncL2tp, part("netlink.rtnl.tcmsg")
print(isinstance(sys.modules["pyroute2"], _Bare), "pyroute2.ndb" in sys.modules)
"""
    assert run(script) == "True False"


def test_a_package_imported_by_somebody_else_is_used_as_it_is() -> None:
    script = """
import pyroute2
from lab.network.netlink import part
print(part("iproute.linux").IPRoute is pyroute2.IPRoute, sys.modules["pyroute2"] is pyroute2)
"""
    assert run(script) == "True True"


def test_parts_that_need_the_whole_package_get_it(tmp_path: Path) -> None:
    package = tmp_path / "pyroute2"
    package.mkdir()
    (package / "__init__.py").write_text("NEEDED = 7\n")
    (package / "part.py").write_text("from pyroute2 import NEEDED\n")
    script = 'from lab.network.netlink import part\nprint(part("part").NEEDED)'
    assert run(script, before=tmp_path) == "7"


def test_a_box_without_pyroute2_cannot_run() -> None:
    script = """
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
from lab.errors import CannotRun
from lab.network.netlink import part
try:
    part("netlink")
except CannotRun as error:
    print(error)
"""
    assert "-m pip install pyroute2" in run(script)
