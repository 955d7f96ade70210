"""A configured daemon on its event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from l2tp.config.settings import DaemonConfig
from l2tp.daemon.lac import Lac
from l2tp.daemon.lns import Lns
from l2tp.daemon.remains import Remains
from l2tp.daemon.roles import Role
from l2tp.daemon.shell import Daemon
from l2tp.kernel.pppox import PppoxDataPlane
from l2tp.ppp.home import PppHome


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
