"""Certificates for a lab's IPsec, by strongSwan's ``pki``; nothing of them outlives the lab."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.errors import CannotRun

_DAYS = "30"


class Authority:
    """A certificate authority of one run: its key is forgotten at the end of the block."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="l2tp-lab-authority-")
        self.certificate = ""

    def __enter__(self) -> Self:
        self._write("ca.key", _pki("--gen", "--type", "ed25519"))
        self.certificate = _pki(
            *("--self", "--ca", "--type", "ed25519", "--lifetime", _DAYS),
            *("--in", self._path("ca.key"), "--dn", "CN=l2tp-lab"),
        )
        self._write("ca.pem", self.certificate)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def issue(self, node: str) -> tuple[str, str]:
        """Make a key and a certificate for a node, both PEM; raises CannotRun."""
        key = _pki("--gen", "--type", "ed25519")
        self._write(f"{node}.key", key)
        certificate = _pki(
            *("--issue", "--type", "priv", "--lifetime", _DAYS),
            *("--cacert", self._path("ca.pem"), "--cakey", self._path("ca.key")),
            *("--in", self._path(f"{node}.key"), "--dn", f"CN={node}", "--san", node),
        )
        return key, certificate

    def _path(self, name: str) -> str:
        return str(Path(self._folder.name, name))

    def _write(self, name: str, text: str) -> None:
        # The folder is its owner's alone.
        Path(self._folder.name, name).write_text(text)


def _pki(command: str, *options: str) -> str:
    try:
        done = subprocess.run(
            ["pki", command, *options, "--outform", "pem"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise CannotRun("pki is missing. Run: apt-get install strongswan-pki") from None
    if done.returncode:
        raise CannotRun(f"pki {command} failed: {done.stderr.strip()}")
    return done.stdout
