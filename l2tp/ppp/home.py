"""The folder that a daemon's pppds see as /etc/ppp: scripts, secrets, options and the FIFO."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from l2tp.ppp.options import quoted

_NOTIFY: Final = Path(__file__).with_name("templates") / "notify.sh"
_SCRIPTS: Final = ("auth-up", "ip-up", "ip-down", "ipv6-up", "ipv6-down")
_IN_NAMESPACE: Final = Path("/etc/ppp")


class PppHome:
    """Files under one folder, which the daemon's mount namespace lays over /etc/ppp."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(
        self, user_secrets: Mapping[str, str], addresses: Mapping[str, str] | None = None
    ) -> None:
        """Write everything that all sessions share; ``user_secrets`` go to files of mode 0600.

        ``addresses`` are users' fixed IPv4 addresses: pppd then gives the user that one and no
        other, whatever its options name (pppd/auth.c: set_allowed_addrs).
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "sessions").mkdir(mode=0o700, exist_ok=True)
        # pppd reads this file before all others, and refuses to run without it for non-root.
        _write(self.folder / "options", "", 0o600)
        _write(self.folder / "notify", _NOTIFY.read_text(), 0o700)
        for script in _SCRIPTS:
            link = self.folder / script
            link.unlink(missing_ok=True)
            link.symlink_to("notify")
        self.write_secrets(user_secrets, addresses)
        events = self.folder / "events"
        events.unlink(missing_ok=True)
        os.mkfifo(events, 0o600)

    def write_secrets(
        self, user_secrets: Mapping[str, str], addresses: Mapping[str, str] | None = None
    ) -> None:
        """Write the users' secrets, which every pppd reads when it authenticates."""
        fixed = addresses or {}
        lines = "".join(
            f"{quoted(user)} * {quoted(secret)} {fixed.get(user, '*')}\n"
            for user, secret in user_secrets.items()
        )
        for name in ("chap-secrets", "pap-secrets"):
            # In one step: a pppd may be authenticating.
            _write(self.folder / f"{name}.new", lines, 0o600)
            (self.folder / f"{name}.new").replace(self.folder / name)

    def open_events(self) -> int:
        """Open the FIFO that the scripts write to, non-blocking.

        It is opened for writing as well: a FIFO whose last writer left reads as ended for ever.
        """
        return os.open(self.folder / "events", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def write_options(self, session: str, text: str) -> Path:
        """Write a session's options file; returns its path as pppd sees it."""
        return self._write_for(session, "options", text)

    def write_advertisement(self, session: str, text: str) -> tuple[Path, Path]:
        """Write a session's radvd configuration; returns its path as radvd sees it, and
        where its pid file may be."""
        path = self._write_for(session, "radvd", text)
        return path, path.with_suffix(".pid")

    def _write_for(self, session: str, suffix: str, text: str) -> Path:
        name = Path("sessions") / f"{session}.{suffix}"
        _write(self.folder / name, text, 0o600)
        return _IN_NAMESPACE / name

    def remove_options(self, session: str) -> None:
        """Remove a session's files."""
        for suffix in ("options", "radvd", "pid"):
            (self.folder / "sessions" / f"{session}.{suffix}").unlink(missing_ok=True)


def _write(path: Path, text: str, mode: int) -> None:
    # Never readable by others, not even between creation and a chmod.
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
