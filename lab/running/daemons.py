"""What a topology says to its daemons: their configuration, their secrets, how they are started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

from lab.network.plan import File, Folder, Process
from lab.running.toml_text import Value, toml_text
from lab.topology import (
    OUR_DAEMON,
    Call,
    LnsService,
    Node,
    Topology,
    Tunnel,
    User,
    netns_name,
)

ROLES = ("lac", "lns")
"""The kinds of nodes that run a daemon of ours."""


# RFC 2661 §5.7 keeps a closed tunnel for a whole retransmission cycle, 31 s. Where both ends are on
# one box nothing is under way for so long, and whoever hangs up wants to see that nothing is left.
_PROTOCOL: dict[str, Value] = {"retention_s": 1.0}

# With an association dies what runs inside it, soon enough to be watched: HELLO after 5 s,
# and given up 15 s later (RFC 2661 §5.5). The first answer has more time: IKE comes before it.
_WATCHFUL: dict[str, Value] = {
    "hello_interval_s": 5.0,
    "dead_time_s": 15.0,
    "maximum_retransmissions": 10,
}

_FEW_CALLS = 6
_SECONDS_A_CALL = 10


def daemon_files(topology: Topology, folder: Path) -> tuple[Folder | File, ...]:
    """Lay out each daemon's folder inside the runtime folder ``folder``.

    Secrets are in a file of their own, which only root can read.
    """
    return tuple(
        step for node in daemon_nodes(topology) for step in _node_files(topology, node, folder)
    )


def daemon_nodes(topology: Topology) -> tuple[Node, ...]:
    """Give the nodes with a daemon of ours, answerers first, so that nobody calls too early."""
    return tuple(
        node
        for role in reversed(ROLES)
        for node in topology.nodes
        if node.kind == role and node.daemon == OUR_DAEMON and topology.tunnels_of(node.name)
    )


def daemon_processes(
    topology: Topology, folder: Path, *, lab: str = "lab", python: str = sys.executable
) -> tuple[Process, ...]:
    """Say how each daemon is started, inside its node's namespace; ``python`` is a program."""
    return tuple(
        Process(
            name=node.name,
            netns=netns_name(lab, node.name),
            argv=(
                *(python, "-m", "l2tp", node.kind),
                *("--config", str(folder / node.name / "config.toml")),
            ),
            log=str(folder / node.name / "output.log"),
        )
        for node in daemon_nodes(topology)
    )


def bpf_cache(folder: Path) -> Path:
    """Name the folder for a lab's compiled probes; it goes with the lab."""
    return folder / "bpf"


#: The tracer's room for sessions, each end's by itself. The kernel makes all of it at the start
#: and for each processor; ended sessions give theirs up when it is needed.
_LEAST_ROOM, _ROOM_A_CALL, _MOST_ROOM = 1024, 16, 4096


def tracer_process(folder: Path, *, calls: int = 0, python: str = "/usr/bin/python3") -> Process:
    """Say how the tracer of a lab with so many calls is started.

    ``python`` must see bcc, so it is Debian's own by default.
    """
    socket = folder / "trace.sock"
    room = min(max(_LEAST_ROOM, _ROOM_A_CALL * calls), _MOST_ROOM)
    return Process(
        name="tracer",
        netns=None,
        argv=(
            *(python, "-m", "probes", "serve", "--moments", "--detach-later"),
            *("--cache", str(bpf_cache(folder)), "--socket", str(socket)),
            *("--max-figures", str(room)),
        ),
        log=str(folder / "trace.log"),
    )


def _node_files(topology: Topology, node: Node, folder: Path) -> Iterator[Folder | File]:
    home = folder / node.name
    yield Folder(str(home), 0o700)
    configuration = lns_configuration if node.kind == "lns" else lac_configuration
    yield File(str(home / "config.toml"), toml_text(configuration(topology, node.name)), 0o644)
    yield File(str(home / "secrets.toml"), toml_text(secrets(topology, node.name)), 0o600)


def lac_configuration(topology: Topology, node: str) -> dict[str, Value]:
    """Configure the LAC on ``node``: its tunnels, and the calls in each."""
    tunnels = topology.tunnels_of(node)
    users = list(dict.fromkeys(call.user for tunnel in tunnels for call in tunnel.calls))
    return {
        "role": "lac",
        "host_name": node,
        "ppp": _ppp(topology, node),
        "protocol": _protocol(topology, node),
        # So that outgoing calls can be tried: each user is a called party under its own name.
        "line": [{"number": user, "user": user} for user in users],
        "tunnel": [
            _lac_tunnel(topology, tunnel, first=_is_first(topology, tunnel))
            for tunnel in topology.tunnels_of(node)
        ],
    }


def _is_first(topology: Topology, tunnel: Tunnel) -> bool:
    """Tell whether no earlier tunnel runs between the same two addresses."""
    ends = (tunnel.lac_address, tunnel.lns_address)
    same = [t for t in topology.l2tp.tunnels if (t.lac_address, t.lns_address) == ends]
    return same[0] is tunnel


def _lac_tunnel(topology: Topology, tunnel: Tunnel, *, first: bool) -> dict[str, Value]:
    port = topology.l2tp.port
    table: dict[str, Value] = {
        "name": tunnel.name,
        "local": tunnel.lac_address,
        # The kernel tells two tunnels between the same addresses apart by our port alone.
        "local_port": port if first else 0,
        "peer": tunnel.lns_address,
        "peer_port": port,
    }
    if tunnel.secret is not None:
        table["secret"] = tunnel.name
    if tunnel.calls:
        table["call"] = [_call(topology, call) for call in tunnel.calls]
    return table


def _call(topology: Topology, call: Call) -> dict[str, Value]:
    table: dict[str, Value] = {"user": call.user, "routes": list(call.routes)}
    user = topology.user(call.user)
    if user.ipv6_address and user.framed_ipv6_prefix:
        length = ip_network(user.framed_ipv6_prefix).prefixlen
        table["addresses"] = [f"{user.ipv6_address}/{length}"]
    return table


def lns_configuration(topology: Topology, node: str) -> dict[str, Value]:
    """Configure the LNS on ``node``: where it listens, what it gives out, whom it knows."""
    service = _service(topology, node)
    tunnels = topology.tunnels_of(node)
    ppp = _ppp(topology, node)
    addresses = dict.fromkeys(tunnel.lns_address for tunnel in tunnels)
    ppp.update({"local_ipv4": service.address, "pool": service.pool, **_limits(topology)})
    known = list(dict.fromkeys(call.user for tunnel in tunnels for call in tunnel.calls))
    users = [topology.user(name) for name in known]
    return {
        "role": "lns",
        "host_name": node,
        "listen": [{"address": address, "port": topology.l2tp.port} for address in addresses],
        "ppp": ppp,
        "protocol": _protocol(topology, node),
        "user": [_caller(user) for user in users],
    }


def _caller(user: User) -> dict[str, Value]:
    table: dict[str, Value] = {"name": user.name}
    if user.ipv4_address:
        table["ipv4"] = user.ipv4_address
    if user.framed_ipv6_prefix:
        advertised = user.has_advertised_prefix
        table |= (
            {"ipv6_prefix": user.framed_ipv6_prefix}
            if advertised
            else {"routes": [user.framed_ipv6_prefix]}
        )
    return table


def _service(topology: Topology, node: str) -> LnsService:
    return next(service for service in topology.l2tp.lns if service.node == node)


def _protocol(topology: Topology, node: str) -> dict[str, Value]:
    protected = any(tunnel.ipsec for tunnel in topology.tunnels_of(node))
    crowded = _PROTOCOL | _unhurried(_extra_s(topology, node))
    return crowded | _WATCHFUL if protected else crowded


def _ppp(topology: Topology, node: str) -> dict[str, Value]:
    ppp = topology.l2tp.ppp
    return {
        **_patience(topology, node),
        "mtu": ppp.mtu,
        "mru": ppp.mru,
        "authentication": ppp.auth,
        "ipv4": ppp.ipv4,
        "ipv6": ppp.ipv6,
        "echo_interval_s": ppp.echo_interval_s,
        "echo_failures": ppp.echo_failures,
    }


def _extra_s(topology: Topology, node: str) -> int:
    """Say how much longer many calls may take that all begin at once, perhaps on one processor."""
    calls = sum(len(tunnel.calls) for tunnel in topology.tunnels_of(node))
    return _SECONDS_A_CALL * calls if calls > _FEW_CALLS else 0


def _unhurried(extra_s: int) -> dict[str, Value]:
    """Let tunnels and calls take ``extra_s`` longer than the minute that they have."""
    if not extra_s:
        return {}
    return {
        "tunnel_setup_timeout_s": 60.0 + extra_s,
        "session_setup_timeout_s": 60.0 + extra_s,
        "maximum_retransmissions": 10,
    }


def _patience(topology: Topology, node: str) -> dict[str, Value]:
    """Let pppds that start late do so: theirs give up after ten requests, a second apart."""
    extra_s = _extra_s(topology, node)
    if not extra_s:
        return {}
    names = ("lcp-max-configure", "ipcp-max-configure", "ipv6cp-max-configure")
    proofs = ("chap-max-challenge", "pap-max-authreq")
    return {
        "setup_timeout_s": 60.0 + extra_s,
        "options": [f"{name} {extra_s}" for name in (*names, *proofs)],
    }


def _limits(topology: Topology) -> dict[str, Value]:
    """Say what an LNS alone has a word in: how long a session may be, and whom to ask for names."""
    ppp = topology.l2tp.ppp
    return {
        "dns": list(ppp.dns),
        "idle_timeout_s": ppp.idle_timeout_s,
        "session_timeout_s": ppp.session_timeout_s,
    }


def secrets(topology: Topology, node: str) -> dict[str, Value]:
    """Give the secrets that ``node`` must know, and no others.

    A LAC names tunnel secrets by tunnel; an LNS by the LAC's host name, which is its node's.
    """
    tunnels = topology.tunnels_of(node)
    users = {call.user for tunnel in tunnels for call in tunnel.calls}
    return {
        "tunnels": {
            (tunnel.name if node == tunnel.lac else tunnel.lac): tunnel.secret
            for tunnel in tunnels
            if tunnel.secret is not None
        },
        "users": {user: topology.user(user).password for user in sorted(users)},
    }
