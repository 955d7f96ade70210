"""From a configuration file to a running daemon."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from l2tp.config.load import load_config
from l2tp.daemon.remains import MARK, Remains
from l2tp.kernel.namespaces import enter_private_mounts
from l2tp.kernel.pppox import require_driver
from l2tp.kernel.udp import open_udp_socket
from l2tp.ppp.home import PppHome


def launch(role: str, path: Path) -> None:
    """Run a "lac" or "lns" until it is stopped; raises ConfigurationError or KernelError.

    A daemon listens before its greater part is imported: what arrives meanwhile waits in the
    socket, instead of being refused and sent again a second later.
    """
    config = load_config(path, role)
    require_driver()
    _allow_many_files()
    remains = Remains(config.state_folder)
    remains.clear()
    # pppds and whatever they start inherit it.
    os.environ[MARK] = str(config.state_folder)
    listeners = [open_udp_socket(one.address) for one in config.listen]
    home = PppHome(config.state_folder / "ppp")
    home.create(config.credentials.users, config.fixed_addresses)
    # Before the event loop: a mount namespace is entered by one thread, and children inherit it.
    enter_private_mounts(home.folder, config.state_folder)
    from l2tp.daemon.serve import serve

    serve(config, home, listeners, remains)


def _allow_many_files() -> None:
    """Take as many descriptors as we may: a tunnel and a session need several each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
