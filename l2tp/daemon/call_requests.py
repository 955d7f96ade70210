"""A call that somebody asks for on the control socket: its words → the call to place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from l2tp.config.settings import CallConfig, DaemonConfig, TunnelConfig
from l2tp.config.toml_table import interface_problem, prefix_problem
from l2tp.config.tunnels import routes_into_itself
from l2tp.daemon.control_server import RequestError

#: So many users are named to who asks for another one.
_NAMED: Final = 10


def choose_call(
    config: DaemonConfig, tunnel: TunnelConfig, arguments: Mapping[str, Any]
) -> CallConfig:
    """Return the configured call of a user (default: the first), changed as the arguments say.

    Raises RequestError for what cannot be placed.
    """
    user = arguments.get("user")
    known = [call for call in tunnel.calls if user in (None, call.user)]
    if not known and user is None:
        raise RequestError(f"tunnel {tunnel.name} has no call configured; name a user")
    if not known and user not in config.credentials.users:
        users = list(config.credentials.users)
        known_users = ", ".join(users[:_NAMED]) or "nobody"
        known_users += f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
        raise RequestError(
            f"there is no secret of user {user!r}; there are those of {known_users}. Add it to "
            "[users] of the secrets file and reload the LAC: l2tp-lab reload NODE, or kill -HUP"
        )
    call = known[0] if known else CallConfig(user=str(user))
    routes = _texts(arguments, "routes", call.routes, prefix_problem)
    addresses = _texts(arguments, "addresses", call.addresses, interface_problem)
    if wrong := routes_into_itself(routes, tunnel.peer.host):
        raise RequestError(f"routes: {wrong}")
    sequencing = arguments.get("sequencing", call.sequencing)
    if not isinstance(sequencing, bool):
        raise RequestError(f"sequencing must be true or false, not {sequencing!r}")
    return replace(call, routes=routes, addresses=addresses, sequencing=sequencing)


def _texts(
    arguments: Mapping[str, Any],
    name: str,
    default: tuple[str, ...],
    find_problem: Callable[[str], str | None],
) -> tuple[str, ...]:
    """Read a list of texts that somebody asked with; they end up in iproute2's commands."""
    values = arguments.get(name, default)
    if not isinstance(values, list | tuple):
        raise RequestError(f"{name} must be a list of texts, not {values!r}")
    for value in values:
        if not isinstance(value, str) or (problem := find_problem(value)):
            raise RequestError(
                f"{name}: {value!r} is {problem if isinstance(value, str) else 'no text'}"
            )
    return tuple(values)
