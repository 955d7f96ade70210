"""What the kernel says of one network namespace: what the checks assert on.

Every function takes the namespace's name (``/run/netns/<name>``) and asks the kernel afresh.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lab.network.netlink import iproute, part

_NETNS = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class L2tpStatistics:
    """``struct l2tp_stats`` as netlink tells it (``L2TP_ATTR_STATS``): packets and bytes."""

    tx_packets: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0
    rx_packets: int = 0
    rx_bytes: int = 0
    rx_seq_discards: int = 0
    rx_oos_packets: int = 0
    rx_errors: int = 0


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One tunnel of the driver (``l2tp`` generic netlink, ``L2TP_CMD_TUNNEL_GET``)."""

    tunnel_id: int
    peer_tunnel_id: int
    statistics: L2tpStatistics
    version: int = 2  #: of L2TP
    local: str | None = None  #: address and UDP port, as ``192.0.2.1:1701``; IPv4 only
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One session of the driver (``L2TP_CMD_SESSION_GET``)."""

    tunnel_id: int
    peer_tunnel_id: int
    session_id: int
    peer_session_id: int
    statistics: L2tpStatistics


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface, its counters and its addresses (``RTM_GETLINK``, ``RTM_GETADDR``)."""

    name: str
    mtu: int
    is_up: bool
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    addresses: tuple[str, ...]  #: without prefix lengths; point-to-point: the local end


def netns_inode(netns: str) -> int:
    """Return the number that BPF knows the namespace by (``ns.inum``)."""
    return (_NETNS / netns).stat().st_ino


def l2tp_objects(netns: str) -> tuple[list[Tunnel], list[Session]]:
    """Ask the driver for all its tunnels and sessions in a namespace."""
    # The synchronous L2tp.dump_tunnels() forgets an argument of the asynchronous one that it
    # wraps (seen in pyroute2 0.9.5 and 0.9.7), so the asynchronous one is used.
    import asyncio  # imported late: all that brings a lab up would wait for it

    return asyncio.run(_l2tp_objects(netns))


async def _l2tp_objects(netns: str) -> tuple[list[Tunnel], list[Session]]:
    async with part("netlink.generic.l2tp").AsyncL2tp(netns=netns, flags=0) as l2tp:
        await l2tp.setup_endpoint()
        tunnels = [_tunnel(message) async for message in await l2tp.dump_tunnels(0)]
        sessions = [_session(message) async for message in await l2tp.dump_sessions()]
    return tunnels, sessions


def _tunnel(message: Any) -> Tunnel:
    return Tunnel(
        message.get_attr("L2TP_ATTR_CONN_ID"),
        message.get_attr("L2TP_ATTR_PEER_CONN_ID"),
        _statistics(message),
        message.get_attr("L2TP_ATTR_PROTO_VERSION"),
        _end(message, "S"),
        _end(message, "D"),
    )


def _end(message: Any, side: str) -> str | None:
    """Take a tunnel's own end (``S``, its source) or its peer's (``D``)."""
    host, port = (
        message.get_attr(f"L2TP_ATTR_{name}") for name in (f"IP_{side}ADDR", f"UDP_{side}PORT")
    )
    return f"{host}:{port}" if host and port else None


def _session(message: Any) -> Session:
    return Session(
        message.get_attr("L2TP_ATTR_CONN_ID"),
        message.get_attr("L2TP_ATTR_PEER_CONN_ID"),
        message.get_attr("L2TP_ATTR_SESSION_ID"),
        message.get_attr("L2TP_ATTR_PEER_SESSION_ID"),
        _statistics(message),
    )


def _statistics(message: Any) -> L2tpStatistics:
    stats = message.get_attr("L2TP_ATTR_STATS")
    names = [field.name for field in fields(L2tpStatistics)]
    return L2tpStatistics(**{name: stats.get_attr(f"L2TP_ATTR_{name.upper()}") for name in names})


def interfaces(netns: str, prefix: str = "") -> list[Interface]:
    """List the interfaces whose names begin with ``prefix`` (``"ppp"``)."""
    with iproute(netns) as netlink:
        links = [link for link in netlink.get_links() if _name(link).startswith(prefix)]
        addresses = list(netlink.get_addr())
    return [_interface(link, addresses) for link in links]


def _name(link: Any) -> str:
    return str(link.get_attr("IFLA_IFNAME"))


def _interface(link: Any, addresses: Sequence[Any]) -> Interface:
    counters = link.get_attr("IFLA_STATS64")
    return Interface(
        name=_name(link),
        mtu=link.get_attr("IFLA_MTU"),
        is_up=bool(link["flags"] & 1),  # IFF_UP
        rx_packets=counters["rx_packets"],
        rx_bytes=counters["rx_bytes"],
        tx_packets=counters["tx_packets"],
        tx_bytes=counters["tx_bytes"],
        addresses=tuple(
            address.get_attr("IFA_LOCAL") or address.get_attr("IFA_ADDRESS")
            for address in addresses
            if address["index"] == link["index"]
        ),
    )


@dataclass(frozen=True, slots=True)
class Association:
    """One of IPsec's associations that is complete (``ip xfrm state``)."""

    source: str
    destination: str
    spi: str
    mode: str
    in_udp: bool

    def __str__(self) -> str:
        form = "ESP in UDP" if self.in_udp else "ESP"
        return f"{self.source} to {self.destination}, {self.mode}, {form}"


def associations(netns: str) -> list[Association]:
    """List the associations that a namespace's kernel encrypts and decrypts by."""
    return read_associations(run_in(netns, ["ip", "xfrm", "state"]).stdout)


def read_associations(text: str) -> list[Association]:
    """Read what ``ip xfrm state`` says; one without a key is only being asked for."""
    found = []
    # Each begins at the margin: "src A dst B".
    for entry in re.split(r"^(?=src )", text, flags=re.MULTILINE):
        words = entry.split()
        if "spi" in words and ("aead" in words or "enc" in words):
            found.append(
                Association(
                    source=words[1],
                    destination=words[3],
                    spi=words[words.index("spi") + 1],
                    mode=words[words.index("mode") + 1],
                    in_udp="espinudp" in words,
                )
            )
    return found


def processes(netns: str, comm: str) -> list[int]:
    """List the pids of the programs called ``comm`` that live in a namespace."""
    inode = netns_inode(netns)
    return [pid for pid, name in _all_processes() if name == comm and _netns_of(pid) == inode]


def _all_processes() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "comm").read_text().strip()
            except OSError:
                continue  # it ended while we looked


def _netns_of(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None


def pppol2tp_entries(netns: str) -> list[str]:
    """Return the first line of each tunnel and session that ``/proc/net/pppol2tp`` lists."""
    lines = (line.strip() for line in _proc_net(netns, "pppol2tp"))
    # An entry's name stands in quotes; the words TUNNEL and SESSION stand in the heading too.
    return [line for line in lines if line.startswith(("TUNNEL '", "SESSION '"))]


def udp_sockets(netns: str, port: int) -> list[str]:
    """Return the lines of ``/proc/net/udp`` and ``udp6`` that are bound to a local port."""
    wanted = f":{port:04X}"
    lines = _proc_net(netns, "udp")[1:] + _proc_net(netns, "udp6")[1:]
    return [line for line in lines if line.split()[1].endswith(wanted)]


def _proc_net(netns: str, name: str) -> list[str]:
    # /proc/net belongs to whoever reads it, so it is read from inside the namespace.
    done = run_in(netns, ["cat", f"/proc/net/{name}"])
    return done.stdout.splitlines()


def routes_of(netns: str, interface: str) -> set[str]:
    """List the prefixes that are routed into an interface, IPv4 (``ip route show dev``)."""
    lines = run_in(netns, ["ip", "route", "show", "dev", interface]).stdout.splitlines()
    return {line.split()[0] for line in lines if line}


def run_in(
    netns: str, command: Sequence[str], timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program in a namespace and return its output, whatever its exit code.

    Raises subprocess.TimeoutExpired after ``timeout_s``.
    """
    return subprocess.run(
        ["nsenter", f"--net={_NETNS / netns}", "--", *command],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
