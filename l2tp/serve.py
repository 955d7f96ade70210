"""A configured daemon on its event loop."""

from __future__ import annotations

import asyncio
import socket

from l2tp.daemon import Daemon
from l2tp.kernel.pppox import PppoxDataPlane
from l2tp.lac import Lac
from l2tp.lns import Lns
from l2tp.ppp.home import PppHome
from l2tp.roles import Role
from l2tp.settings import DaemonConfig


def serve(config: DaemonConfig, home: PppHome, listener: socket.socket | None) -> None:
    """Run a daemon until it is stopped; ``listener`` is an LNS's open socket."""
    asyncio.run(_serve(config, home, listener))


async def _serve(config: DaemonConfig, home: PppHome, listener: socket.socket | None) -> None:
    def make_role(daemon: Daemon) -> Role:
        if config.lns is not None and listener is not None:
            return Lns(daemon, config, config.lns, listener)
        return Lac(daemon, config)

    await Daemon(config, home, make_role, PppoxDataPlane()).run()
