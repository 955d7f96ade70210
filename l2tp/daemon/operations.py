"""What can be asked of a daemon through its control socket, and its orderly end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from l2tp.daemon.control_server import Operation, RequestError
from l2tp.daemon.report import status
from l2tp.protocol.errors import SHUTDOWN, L2tpError

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon
    from l2tp.daemon.view import TunnelView


class NoSignOfLife(L2tpError):
    """The peer did not answer a HELLO."""


class Operations:
    """The control socket's operations on one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> dict[str, Operation]:
        """Return the operations by the names that requests use."""
        return {
            "status": self._status,
            "call": self._call,
            "hangup": self._hangup,
            "hello": self._hello,
            "reload": self._reload,
            "stop": self._stop,
        }

    async def _status(self, _: Mapping[str, Any]) -> object:
        return status(self._daemon)

    async def _call(self, arguments: Mapping[str, Any]) -> object:
        local_tunnel_id, local_session_id = self._daemon.role.place_call(arguments)
        self._daemon.transact()
        return {"local_tunnel_id": local_tunnel_id, "local_session_id": local_session_id}

    async def _hangup(self, arguments: Mapping[str, Any]) -> object:
        tunnel = self._tunnel(arguments)
        local_session_id = _id(arguments, "local_session_id")
        self._daemon.role.let_go(tunnel.local_tunnel_id, local_session_id)
        if local_session_id is None:
            await self._close_tunnel(tunnel.local_tunnel_id)
        elif local_session_id in tunnel.sessions:
            self._daemon.session_events.hang_up(tunnel.local_tunnel_id, local_session_id)
            await self._daemon.until(lambda: local_session_id not in tunnel.sessions)
        else:
            ids = ", ".join(str(number) for number in tunnel.sessions) or "none"
            raise RequestError(
                f"tunnel {tunnel.local_tunnel_id} has no session {local_session_id}; it has: {ids}"
            )
        return None

    async def _hello(self, arguments: Mapping[str, Any]) -> object:
        tunnel = self._tunnel(arguments)
        began_at = self._daemon.now()
        endpoint, number = self._daemon.endpoint, tunnel.local_tunnel_id
        endpoint.say_hello(number, began_at)
        self._daemon.transact()
        await self._daemon.until(
            lambda: tunnel.state == "closed" or not endpoint.has_unacknowledged(number)
        )
        if tunnel.state == "closed":
            raise NoSignOfLife(f"tunnel {number} is closed: {tunnel.cause}")
        return {"round_trip_s": self._daemon.now() - began_at}

    def _tunnel(self, arguments: Mapping[str, Any]) -> TunnelView:
        number = _id(arguments, "local_tunnel_id")
        tunnel = self._daemon.view.tunnels.get(number or 0)
        if tunnel is None:
            ids = ", ".join(str(number) for number in self._daemon.view.tunnels) or "none"
            wanted = "without a local_tunnel_id" if number is None else number
            raise RequestError(f"there is no tunnel {wanted}; there are: {ids}")
        return tunnel

    async def _close_tunnel(self, local_tunnel_id: int) -> None:
        for session in self._daemon.sessions.of_tunnel(local_tunnel_id):
            self._daemon.session_events.hang_up(local_tunnel_id, session.local_session_id)
        await self._daemon.until(lambda: not self._daemon.sessions.of_tunnel(local_tunnel_id))
        self._daemon.endpoint.close_tunnel(local_tunnel_id, self._daemon.now(), SHUTDOWN)
        self._daemon.transact()

    async def _reload(self, _: Mapping[str, Any]) -> object:
        return self._daemon.reload()

    async def _stop(self, _: Mapping[str, Any]) -> object:
        asyncio.get_running_loop().call_soon(self._daemon.stop)
        return None

    async def tear_down(self) -> None:
        """Hang up everything, say StopCCN, wait for its acknowledgement, end."""
        started = time.monotonic_ns()
        tunnels = [one for one in self._daemon.view.tunnels.values() if one.state != "closed"]
        try:
            async with asyncio.timeout(self._daemon.config.stop_timeout_s):
                await asyncio.gather(*(self._close_tunnel(one.local_tunnel_id) for one in tunnels))
                await self._daemon.until(lambda: not any(map(self._is_owed, tunnels)))
        except TimeoutError:
            self._daemon.log.write("StopTimedOut", timeout_s=self._daemon.config.stop_timeout_s)
        self._daemon.log.write("Stopping", duration_ns=time.monotonic_ns() - started)

    def _is_owed(self, tunnel: TunnelView) -> bool:
        """Tell whether an acknowledgement may still come: not from where nobody listens."""
        daemon = self._daemon
        is_deaf = daemon.network_errors.is_deaf(tunnel.peer)
        return not is_deaf and daemon.endpoint.has_unacknowledged(tunnel.local_tunnel_id)


def _id(arguments: Mapping[str, Any], name: str) -> int | None:
    value = arguments.get(name)
    if value is None or isinstance(value, int):
        return value
    raise RequestError(f"{name} must be a number, not {value!r}")
