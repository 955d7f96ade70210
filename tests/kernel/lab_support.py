"""Runs the command line as a user would, where the kernel tests run."""

from __future__ import annotations

import subprocess

from tests.kernel.pythons import ENVIRONMENT, lab_command


def run_lab(lab: str, *words: str, code: int = 0) -> str:
    """Run ``l2tp-lab``; fail with all that it said on another exit code than ``code``."""
    done = subprocess.run(
        lab_command("--lab", lab, *words),
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout
