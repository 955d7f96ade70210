"""From a configuration file to a running daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

from l2tp.config import DaemonConfig, load_config
from l2tp.daemon import Daemon
from l2tp.kernel.namespaces import enter_private_mounts
from l2tp.kernel.pppox import require_driver
from l2tp.lac import Lac
from l2tp.lns import Lns
from l2tp.ppp.home import PppHome
from l2tp.roles import Role


def launch(role: str, path: Path) -> None:
    """Run a "lac" or "lns" until it is stopped; raises ConfigurationError or KernelError."""
    config = load_config(path, role)
    require_driver()
    home = PppHome(config.state_folder / "ppp")
    home.create(config.credentials.users)
    # Before the event loop: a mount namespace is entered by one thread, and children inherit it.
    enter_private_mounts(home.folder, config.state_folder)
    asyncio.run(_serve(config, home))


async def _serve(config: DaemonConfig, home: PppHome) -> None:
    def make_role(daemon: Daemon) -> Role:
        return Lac(daemon, config) if config.lns is None else Lns(daemon, config, config.lns)

    await Daemon(config, home, make_role).run()
