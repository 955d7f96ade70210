"""A configured daemon on its event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from l2tp.daemon import Daemon
from l2tp.kernel.pppox import PppoxDataPlane
from l2tp.lac import Lac
from l2tp.lns import Lns
from l2tp.ppp.home import PppHome
from l2tp.remains import Remains
from l2tp.roles import Role
from l2tp.settings import DaemonConfig


def serve(
    config: DaemonConfig, home: PppHome, listeners: Sequence[socket.socket], remains: Remains
) -> None:
    """Run a daemon until it is stopped; ``listeners`` are open sockets."""
    asyncio.run(_serve(config, home, listeners, remains))


async def _serve(
    config: DaemonConfig, home: PppHome, listeners: Sequence[socket.socket], remains: Remains
) -> None:
    await Daemon(config, home, make_role, PppoxDataPlane(), remains, listeners).run()


def make_role(daemon: Daemon) -> Role:
    """Make the role that the daemon's configuration asks for."""
    config = daemon.config
    return Lac(daemon, config) if config.lns is None else Lns(daemon, config, config.lns)
