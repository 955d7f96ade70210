"""A daemon's configuration read again while it runs: what it changes, and what it cannot change."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from l2tp.config.endpoint import answering
from l2tp.config.load import load_config
from l2tp.config.settings import DaemonConfig

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon

# What is tied to open sockets and to the private mounts stays until the next start.
_NEEDS_RESTART: Final = ("listen", "state_folder")


def reload(daemon: Daemon) -> dict[str, list[str]]:
    """Read the file again and go by it; live tunnels and sessions stay as they are.

    Returns the parts that changed, and those of them that need a restart. Raises
    ConfigurationError with everything that is wrong, and then changes nothing.
    """
    before = daemon.config
    read = load_config(before.path, before.role)
    needs_restart = [name for name in _differences(before, read) if name in _NEEDS_RESTART]
    config = _keep(before, read)
    changed = _differences(before, config) + needs_restart
    # First what may refuse: the rest cannot.
    daemon.endpoint.reconfigure(config.endpoint)
    daemon.config = config
    daemon.log.reopen()
    daemon.home.write_secrets(config.credentials.users, config.fixed_addresses)
    daemon.sessions.reconfigure(
        pppd=config.pppd,
        settings=config.ppp,
        options=config.data,
        grace_s=config.ppp_timeout_s,
    )
    daemon.role.reconfigure(config)
    return {"changed": changed, "needs_restart": needs_restart}


def _keep(before: DaemonConfig, read: DaemonConfig) -> DaemonConfig:
    """Take what was read, but for what needs a restart and what follows from that."""
    kept = replace(read, **{name: getattr(before, name) for name in _NEEDS_RESTART})
    # As long as a listener is open its requests are met as ever, with the secrets of today.
    endpoint = answering(kept.endpoint, kept.credentials, listens=bool(kept.listen))
    return replace(kept, endpoint=endpoint)


def _differences(before: DaemonConfig, after: DaemonConfig) -> list[str]:
    def values(config: DaemonConfig) -> dict[str, Any]:
        return {field.name: getattr(config, field.name) for field in fields(config)}

    old, new = values(before), values(after)
    return [name for name in old if old[name] != new[name]]
