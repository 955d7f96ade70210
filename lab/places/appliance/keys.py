"""The two key pairs of an image: the one that opens it, and the one that it shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.errors import CannotRun

#: In the image's folder: what opens the guest, and what it is known by.
KEY = "id_ed25519"
KNOWN_HOSTS = "known_hosts"

#: The one name under which the host key is pinned, whatever port a machine has.
HOST_ALIAS = "l2tp-lab-appliance"

#: The guest's own key, as ssh-keygen writes it; the playbook converts it for dropbear.
_HOST_KEY = "host_key.openssh"


def make_keys(folder: Path, guest: Path) -> None:
    """Make an image's keys: ours in its ``folder``, what the guest gets in ``guest``.

    Raises CannotRun where there is no ssh-keygen.
    """
    _make_key(folder / KEY)
    _make_key(guest / _HOST_KEY)
    (folder / f"{KEY}.pub").rename(guest / "authorized_keys")
    host_key = (guest / f"{_HOST_KEY}.pub").read_text().split()
    (folder / KNOWN_HOSTS).write_text(f"{HOST_ALIAS} {host_key[0]} {host_key[1]}\n")


def _make_key(path: Path) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "l2tp-lab", "-f", str(path)]
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CannotRun("ssh-keygen is missing. Run: apt-get install openssh-client") from None
