"""Root, for an ordinary user: whether sudo may give it, how it is asked for, and the line to type.

Nothing here ever sees a password: sudo asks for it on the terminal itself.
"""

from __future__ import annotations

import grp
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.errors import CannotRun

#: The groups whose members sudo lets do everything: Debian's and Ubuntu's, then the others'.
_GROUPS = ("sudo", "admin", "wheel")


def may_become_root() -> bool:
    """Tell whether this process is root, or its user can be expected to get that from sudo.

    Only sudo itself knows, and may ask for a password before it says so; the groups that are
    allowed by default are known without asking.
    """
    if os.geteuid() == 0:
        return True
    sudo = shutil.which("sudo")
    return sudo is not None and (_in_a_group() or _asks_no_password(sudo))


def l2tp_lab(words: Sequence[str]) -> list[str]:
    """Spell a command line of the lab so that it works from any folder and with any PATH."""
    return [str(Path(sys.executable).with_name("l2tp-lab")), *words]


def ask_for_root(what: str, instead: Sequence[str], otherwise: str = "") -> str | None:
    """Have sudo ask for its password now if it needs one; return sudo's path, None for root.

    ``what`` begins the sentence “… needs root”, ``instead`` is the command to run as root by hand,
    ``otherwise`` a way without root. Raises CannotRun, with that command, where root cannot be had.
    """
    if os.geteuid() == 0:
        return None
    # A folder of PATH may be closed to us, so sudo is looked for, not tried.
    sudo = shutil.which("sudo")
    line = shlex.join(instead)
    way_out = f". {otherwise}" if otherwise else ""
    if sudo is None:
        raise CannotRun(
            f"{what} needs root, and this box has no sudo. Run as root: {line}{way_out}"
        )
    if _asks_no_password(sudo):
        return sudo
    if not _has_terminal():
        raise CannotRun(
            f"{what} needs root, and there is no terminal for sudo to ask on. "
            f"Run: sudo {line}{way_out}"
        )
    if subprocess.run([sudo, "-v"], check=False).returncode != 0:
        raise CannotRun(f"{what} needs root, and sudo did not give it: see above{way_out}")
    return sudo


def run_as_root(
    sudo: str | None, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> int:
    """Run a command line of the lab as root, in this folder; return its exit code.

    ``sudo`` is what ``ask_for_root`` gave. ``environment`` is added to what sudo leaves of ours.
    """
    settings = {
        # Root's bytecode in a user's checkout could not be removed by its owner.
        "PYTHONDONTWRITEBYTECODE": "1",
        **(environment or {}),
    }
    command = [
        *([sudo] if sudo else []),
        *("env", *(f"{name}={value}" for name, value in settings.items())),
        # -P: a folder called “lab” where the user happens to be is not ours.
        *(sys.executable, "-P", "-m", "lab", *words),
    ]
    with _left_to_the_child(signal.SIGINT):
        done = subprocess.run(command, check=False)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


@contextmanager
def _left_to_the_child(number: signal.Signals) -> Iterator[None]:
    """Let a signal that both get be the child's to answer: Ctrl-C ends what is live in good order.

    Not ignored, which the child would inherit.
    """
    before = signal.getsignal(number)
    if before is not signal.SIG_IGN:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(number, before)


def _in_a_group() -> bool:
    ours = set(os.getgroups())
    return any(group.gr_gid in ours for group in grp.getgrall() if group.gr_name in _GROUPS)


def _asks_no_password(sudo: str) -> bool:
    done = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False)
    return done.returncode == 0


def _has_terminal() -> bool:
    # sudo asks there too, and not on standard input.
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
