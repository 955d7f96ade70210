"""Router advertisements on a session's interface, by radvd: how a caller gets its IPv6 prefix.

IPV6CP gives link-local addresses only (RFC 5072 §5); a prefix comes by RFC 4861 and 4862.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from l2tp.ppp.child import Child
from l2tp.protocol.errors import L2tpError

# The first one leaves at once. No default route: what a LAC routes into a session, its
# configuration says.
_TEXT: Final = """\
interface {interface} {{
  AdvSendAdvert on;
  IgnoreIfMissing on;
  MinRtrAdvInterval 3;
  MaxRtrAdvInterval 10;
  AdvDefaultLifetime 0;
  AdvLinkMTU {mtu};
  prefix {prefix} {{
    AdvOnLink off;
    AdvAutonomous on;
  }};
}};
"""


class RadvdMissing(L2tpError):
    """radvd cannot be run here."""


def advertisement(interface: str, prefix: str, mtu: int) -> str:
    """Return radvd's configuration for one prefix ("2001:db8::/64") on one interface."""
    return _TEXT.format(interface=interface, prefix=prefix, mtu=mtu)


class Advertiser:
    """A radvd on an event loop; ``on_line`` gets what it prints, ``on_exit`` its status."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_line: Callable[[str], None],
        on_exit: Callable[[int], None],
    ) -> None:
        self._child = Child(loop, on_line=on_line, on_exit=on_exit)

    def start(self, configuration: Path, pid_file: Path) -> None:
        """Run radvd in the foreground; raises RadvdMissing."""
        argv = ("radvd", "--nodaemon", "--logmethod", "stderr")
        try:
            self._child.start([*argv, "--config", configuration, "--pidfile", pid_file])
        except OSError as error:
            raise RadvdMissing(
                f"cannot run radvd: {error.strerror}. Install it: apt-get install radvd"
            ) from error

    def stop(self) -> None:
        """End it; with its interface gone there is nobody left to say goodbye to."""
        self._child.signal(signal.SIGKILL)
