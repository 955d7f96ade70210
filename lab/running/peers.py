"""The nodes of a lab on which xl2tpd runs: its files, its processes, and how it is told to dial."""

from __future__ import annotations

import errno
import os
import sys
from fcntl import ioctl
from ipaddress import ip_network
from pathlib import Path
from termios import FIONREAD

from lab.errors import LabError
from lab.network.plan import File, Folder, Process
from lab.peers.xl2tpd import Call, Service, Xl2tpd, peer_argv, peer_files
from lab.running.supervision import why_ended
from lab.topology import OUR_DAEMON, LnsService, Node, Topology, netns_name
from lab.waiting import wait_for

_HOME = "xl2tpd"
_PATIENCE_S = 10.0


def peer_nodes(topology: Topology) -> tuple[Node, ...]:
    """Give the nodes with a foreign daemon, answerers first."""
    return tuple(
        node
        for kind in ("lns", "lac")
        for node in topology.nodes
        if node.kind == kind and node.daemon != OUR_DAEMON
    )


def lab_peer_files(
    topology: Topology, folder: Path, *, autodial: bool = False
) -> tuple[Folder | File, ...]:
    """Lay out each xl2tpd's folder inside the runtime folder ``folder``.

    With ``autodial`` a LAC calls at its start, without it when it is told to (``dial``).
    """
    steps: list[Folder | File] = []
    for node in peer_nodes(topology):
        steps.append(Folder(str(folder / node.name), 0o700))
        peer = peer_of(topology, node, autodial=autodial)
        steps += peer_files(peer, folder / node.name / _HOME)
    return tuple(steps)


def peer_processes(
    topology: Topology, folder: Path, *, lab: str = "lab", python: str = sys.executable
) -> tuple[Process, ...]:
    """Say how each xl2tpd is started, inside its node's namespace."""
    return tuple(
        Process(
            name=node.name,
            netns=netns_name(lab, node.name),
            argv=peer_argv(folder / node.name / _HOME, python=python),
            log=str(folder / node.name / "output.log"),
        )
        for node in peer_nodes(topology)
    )


def peer_of(topology: Topology, node: Node, *, autodial: bool = False) -> Xl2tpd:
    """Say what the xl2tpd on a node is to do."""
    tunnels = topology.tunnels_of(node.name)
    is_lac = node.kind == "lac"
    addresses = [tunnel.lac_address if is_lac else tunnel.lns_address for tunnel in tunnels]
    users = {call.user for tunnel in tunnels for call in tunnel.calls}
    return Xl2tpd(
        host_name=node.name,
        # It listens at one address; without a tunnel nobody calls it, and any will do.
        address=addresses[0] if addresses else "0.0.0.0",
        port=topology.l2tp.port,
        service=None if is_lac else _service(topology, node),
        calls=tuple(
            Call(
                tunnel.name,
                tunnel.lns_address,
                tunnel.calls[0].user,
                autodial=autodial,
                routes=tunnel.calls[0].routes,
            )
            for tunnel in (tunnels if is_lac else ())
        ),
        secrets={
            (tunnel.lns if is_lac else tunnel.lac): tunnel.secret
            for tunnel in tunnels
            if tunnel.secret is not None
        },
        users={name: topology.user(name).password for name in sorted(users)},
        mtu=topology.l2tp.ppp.mtu,
        mru=topology.l2tp.ppp.mru,
    )


def _service(topology: Topology, node: Node) -> Service | None:
    for service in topology.l2tp.lns:
        if service.node == node.name:
            return Service(service.address, *_range(service))
    return None


def _range(service: LnsService) -> tuple[str, str]:
    """Choose the addresses to give out: the longer run of the pool's beside the LNS's own."""
    pool = ip_network(service.pool)
    first, last = pool.network_address + 1, pool.broadcast_address - 1
    runs = [(first, last)]
    own = next((host for host in pool.hosts() if str(host) == service.address), None)
    if own is not None:
        runs = [(first, own - 1), (own + 1, last)]
    longest = max(runs, key=lambda run: int(run[1]) - int(run[0]))
    return str(longest[0]), str(longest[1])


def dial(folder: Path, node: str, tunnel: str) -> None:
    """Have xl2tpd on a node call, in the tunnel of that name. Raises LabError."""
    _tell(folder, node, f"c {tunnel}")


def hang_up(folder: Path, node: str, tunnel: str) -> None:
    """Have xl2tpd on a node end its tunnel of that name, and not call again. Raises LabError."""
    _tell(folder, node, f"d {tunnel}")


def _opened(path: Path) -> tuple[int] | None:
    """Open a pipe for writing; None while nobody reads there."""
    try:
        return (os.open(path, os.O_WRONLY | os.O_NONBLOCK),)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return None
        raise LabError(f"{path} cannot be written: {error.strerror}") from error


def _ended(folder: Path, node: str) -> str:
    said = why_ended(folder, node, folder / node / "output.log")
    again = "Bring the lab down and up again: l2tp-lab down && l2tp-lab up"
    return f"{said}\n{again}" if said else ""


def _tell(folder: Path, node: str, command: str) -> None:
    """Write to xl2tpd's control pipe (xl2tpd(8)), which has no answers.

    It takes all that it finds there for one command, so this returns once it has read it. It opens
    the pipe after its socket, and anew after each command. Raises LabError when it has ended.
    """
    (pipe,) = wait_for(
        lambda: _opened(folder / node / _HOME / "control"),
        f"xl2tpd's reading of commands on {node}",
        deadline_s=_PATIENCE_S,
        problem=lambda: _ended(folder, node),
    )
    try:
        os.write(pipe, command.encode())
        wait_for(
            lambda: _unread(pipe) == 0,
            f"xl2tpd's reading of “{command}” on {node}",
            deadline_s=_PATIENCE_S,
        )
    finally:
        os.close(pipe)


def _unread(pipe: int) -> int:
    return int.from_bytes(ioctl(pipe, FIONREAD, bytes(4)), sys.byteorder)
