"""Secrets, from a file that only its owner may read."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from l2tp.config.toml_table import ConfigurationError, Document, Table


@dataclass(frozen=True, slots=True)
class Credentials:
    """Tunnel secrets by the name that the configuration uses, PPP secrets by user.

    Neither shows in repr(), so that no log can show them by accident.
    """

    tunnels: dict[str, bytes] = field(repr=False, default_factory=dict)
    users: dict[str, str] = field(repr=False, default_factory=dict)


def load_credentials(path: Path) -> Credentials:
    """Read a secrets file of tables [tunnels] and [users]; raises ConfigurationError."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise ConfigurationError(
                    [
                        f"{path}: others may read or change this secrets file "
                        f"(mode {mode:04o}). chmod 600 {path}"
                    ]
                )
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError([f"{path}: cannot read the secrets file: {reason}"]) from error
    document = Document(path, text)
    tunnels = _secrets(document.root.table("tunnels"))
    users = _secrets(document.root.table("users"))
    document.root.close()
    document.finish()
    return Credentials({name: text.encode() for name, text in tunnels.items()}, users)


def _secrets(table: Table) -> dict[str, str]:
    secrets = {}
    for name in table.names():
        secret = table.secret(name)
        # pppd reads secrets line by line, as words.
        if not (secret + name).isprintable():
            table.problem(name, "must have only printable characters")
        secrets[name] = secret
    return secrets
