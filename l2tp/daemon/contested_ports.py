"""A second tunnel between the same addresses and ports, where the driver cannot tell them apart.

Before Linux 6.11 the data of both reaches one of them only (l2tp.kernel.shared_ports). A peer that
asks for it either has two tunnels, or it has started again and knows nothing of the first.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from l2tp.protocol.constants import StopResult
from l2tp.protocol.errors import LocalProtocolError, ResultCode
from l2tp.protocol.parameters import Address

if TYPE_CHECKING:
    from l2tp.daemon.shell import Daemon

# In retransmission_initial_s. A HELLO that is lost is sent once more; whoever has not answered our
# SCCRP for so long has most likely given up already, and asks again.
_PATIENCE: Final = 2.0
_PATIENCE_HALF_OPEN: Final = 1.0
_STARTED_ANEW: Final = ResultCode(
    StopResult.CLEAR_REQUEST, message="no sign of life since its peer asked for another tunnel"
)
_OTHER_PORT: Final = (
    "another tunnel has the same addresses and ports, and this kernel's driver cannot tell their "
    "data apart (Linux 6.11 and later can): answered from a free port, as RFC 2661 §8.1 allows. "
    "A peer that does not follow (xl2tpd) gets no data through this tunnel"
)


def holders(daemon: Daemon, local: Address, peer: Address) -> list[int]:
    """Find the tunnels from `local` to `peer` that keep another one from having the same ports.

    None do where the driver tells them apart, nor one that is closed: what it still has in the
    kernel goes within the time of PPP's farewell.
    """
    if daemon.plane.shares_ports():
        return []
    return [number for number in daemon.sockets.between(local, peer) if _is_open(daemon, number)]


def _is_open(daemon: Daemon, local_tunnel_id: int) -> bool:
    tunnel = daemon.view.tunnels.get(local_tunnel_id)
    return tunnel is not None and tunnel.state != "closed"


class ContestedPorts:
    """Asks the peer of the first tunnel for a sign of life, and gives the second what that leaves.

    Until then the second's SCCRP is held back.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._tasks: set[asyncio.Task[None]] = set()

    def settle(self, local_tunnel_id: int, local: Address, peer: Address) -> None:
        """Open a requested tunnel's socket at `local`, or at another port, as soon as it is known.

        Whoever only pretends to be the peer ends nothing: the peer's answer keeps its tunnel.
        """
        self._daemon.sockets.hold(local_tunnel_id)
        task = asyncio.get_running_loop().create_task(self._settle(local_tunnel_id, local, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, local_tunnel_id: int, local: Address, peer: Address) -> None:
        daemon = self._daemon
        first = holders(daemon, local, peer)
        silent = await self._silent(first)
        for number in silent:
            daemon.endpoint.close_tunnel(number, daemon.now(), _STARTED_ANEW)
        daemon.transact()
        await daemon.until(lambda: not any(map(daemon.plane.has_tunnel, silent)))
        if _is_open(daemon, local_tunnel_id):
            if holders(daemon, local, peer):
                local = Address(local.host, 0)
                daemon.log.write(
                    "PortChanged", local_tunnel_id=local_tunnel_id, peer=peer, cause=_OTHER_PORT
                )
            daemon.tunnel_events.open_socket(local_tunnel_id, local, peer)
        daemon.sockets.release(local_tunnel_id)
        daemon.transact()

    async def _silent(self, tunnels: list[int]) -> list[int]:
        daemon = self._daemon
        for number in tunnels:
            # One that is not up owes an answer anyway.
            with suppress(LocalProtocolError):
                daemon.endpoint.say_hello(number, daemon.now())
        daemon.transact()

        def owing() -> list[int]:
            return [
                number
                for number in tunnels
                if _is_open(daemon, number) and daemon.endpoint.has_unacknowledged(number)
            ]

        is_up = any(daemon.plane.has_tunnel(number) for number in tunnels)
        patience = _PATIENCE if is_up else _PATIENCE_HALF_OPEN
        with suppress(TimeoutError):
            async with asyncio.timeout(patience * daemon.config.endpoint.retransmission_initial_s):
                await daemon.until(lambda: not owing())
        return owing()
