"""Addresses and routes on ppp interfaces, by iproute2.

One ``ip -batch`` for all of an interface: it starts in hundredths of a second, where importing
pyroute2 takes longer than a whole PPP session's set-up (docs/decisions/daemons.md).
Routes and addresses go with their interface, so nothing is ever removed here.
"""

import asyncio
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from l2tp.protocol.errors import L2tpError

#: More than any interface's index that a namespace comes to: they are not given again, and each
#: session takes one.
_OLDEST: Final = 1_000_000_000

_ROUTE: Final = "route replace "
_OF_A_SESSION: Final = re.compile(r"\bdev ppp\d")

_IPV6_SETTINGS: Final = Path("/proc/sys/net/ipv6/conf")


def address_command(address: str, interface: str) -> str:
    """Return the command that puts ``address`` ("2001:db8::1/128") on an interface."""
    return f"address replace {address} dev {interface}"


def route_command(prefix: str, interface: str) -> str:
    """Return the command that routes ``prefix`` ("203.0.113.0/24") into an interface.

    The newest interface with a prefix has it, and with its end an older one has it again: each
    route has a metric of its own, the lower the later the interface came. Raises NetworkError when
    the interface is gone.
    """
    try:
        metric = _OLDEST - socket.if_nametoindex(interface)
    except OSError as error:
        raise NetworkError(f"cannot route {prefix} into {interface}: {error.strerror}") from error
    return f"{_ROUTE}{prefix} dev {interface} metric {metric}"


def accept_advertisements(interface: str) -> None:
    """Let an interface form addresses from router advertisements, also where we forward.

    Raises NetworkError.
    """
    folder = _IPV6_SETTINGS / interface
    try:
        # 2 overrules that hosts alone listen (net/ipv6/ndisc.c: ipv6_accept_ra).
        for name, value in (("autoconf", "1"), ("accept_ra", "2")):
            (folder / name).write_text(value)
    except OSError as error:
        raise NetworkError(f"cannot set {folder}/{name}: {error.strerror}") from error


class NetworkError(L2tpError):
    """iproute2 refused an address or a route; the text is its own, with the commands."""


async def apply(commands: Iterable[str]) -> list[str]:
    """Give the commands to one ``ip -batch``.

    Returns the routes to the same prefixes that come before those of the commands, as iproute2 has
    them: what is not of a ppp interface is the box's own, and is left alone. Raises NetworkError
    with all complaints.
    """
    batch = list(commands)
    if not batch:
        return []
    prefixes = [line.removeprefix(_ROUTE).split()[0] for line in batch if line.startswith(_ROUTE)]
    lines = [*batch, *(f"route show exact {prefix}" for prefix in prefixes)]
    try:
        process = await asyncio.create_subprocess_exec(
            "ip",
            "-force",
            "-batch",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise NetworkError(
            f"cannot run ip: {error.strerror}. Install it: apt-get install iproute2"
        ) from error
    shown, complaints = await process.communicate("".join(f"{line}\n" for line in lines).encode())
    if process.returncode:
        text = " ".join(complaints.decode(errors="replace").split())
        raise NetworkError(f"ip -batch ({'; '.join(batch)}): {text}")
    routes = [line.strip() for line in shown.decode(errors="replace").splitlines()]
    return [route for route in routes if route and not _OF_A_SESSION.search(route)]
