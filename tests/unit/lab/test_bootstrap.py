"""The first step of every make target, in a checkout with a .venv that does or does not work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.interpreters import PROJECT

#: What the bootstrap reads of a checkout.
_PARTS = ("pyproject.toml", "lab/__init__.py", "lab/bootstrap.sh")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout, with a .venv that works: this interpreter, which finds the checkout."""
    checkout = tmp_path / "check out"
    for part in _PARTS:
        target = checkout / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / part, target)
    program = checkout / ".venv/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH='{checkout}' PYTHONDONTWRITEBYTECODE=1 exec '{sys.executable}' \"$@\"\n"
    )
    program.chmod(0o755)
    (checkout / ".venv/.ready").touch()
    return checkout


def bootstrap(checkout: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(checkout / "lab/bootstrap.sh")],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_works_is_left_as_it_is_and_nothing_is_said(checkout: Path) -> None:
    done = bootstrap(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (checkout / ".venv/.ready").exists()


def moved(checkout: Path) -> Path:
    return checkout.rename(checkout.with_name("moved"))


def copied(checkout: Path) -> Path:
    copy = checkout.with_name("copied")
    return Path(shutil.copytree(checkout, copy, copy_function=shutil.copy2))


def python_is_gone(checkout: Path) -> Path:
    program = checkout / ".venv/bin/python"
    program.unlink()
    program.symlink_to("/nonexistent/python3.10")
    return checkout


def python_is_another(checkout: Path) -> Path:
    program = checkout / ".venv/bin/python"
    program.unlink()
    program.symlink_to(sys.executable)  # which knows no package of this .venv
    return checkout


def was_interrupted(checkout: Path) -> Path:
    (checkout / ".venv/.ready").unlink()
    return checkout


def something_changed(checkout: Path) -> Path:
    later = (checkout / ".venv/.ready").stat().st_mtime + 1
    os.utime(checkout / "pyproject.toml", (later, later))
    return checkout


@pytest.mark.parametrize(
    "spoil",
    [moved, copied, python_is_gone, python_is_another, was_interrupted, something_changed],
)
def test_what_does_not_work_is_made_anew(
    checkout: Path, spoil: Callable[[Path], Path], tmp_path: Path
) -> None:
    # Told apart by its first step, which takes seconds, and here ends at once.
    (tmp_path / "venv.py").write_text("raise SystemExit(9)\n")
    done = bootstrap(spoil(checkout), PYTHONPATH=str(tmp_path))
    assert "making .venv with" in done.stderr
    assert done.returncode == 9
