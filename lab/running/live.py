"""A lab that is up: its topology, its namespaces, its daemons and its tracer, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from l2tp.daemon.control import ControlClient
from lab.errors import LabError, UsageError
from lab.network.plan import runtime_folder
from lab.spelling import command
from lab.topology import OUR_DAEMON, Call, Topology, Tunnel, from_json, netns_name
from lab.topology.paths import way_of
from probes.client import TraceClient


@dataclass(frozen=True)
class SessionEnds:
    """One established session, seen from both daemons: their ``status`` entries."""

    tunnel: Tunnel
    call: Call
    lac_tunnel: dict[str, Any]
    lac: dict[str, Any]
    lns_tunnel: dict[str, Any]
    lns: dict[str, Any]


@dataclass(frozen=True)
class Live:
    """A running lab. Raises LabError where the lab is not up."""

    lab: str
    folder: Path

    @classmethod
    def open(cls, lab: str) -> Live:
        """Find the running lab of that name."""
        live = cls(lab, runtime_folder(lab))
        if not (live.folder / "topology.json").exists():
            raise LabError(f"the lab “{lab}” is not up. Bring it up: {command('up', lab)}")
        return live

    @cached_property
    def topology(self) -> Topology:
        """The topology that it was made from."""
        return from_json((self.folder / "topology.json").read_text())

    def netns(self, node: str) -> str:
        """Return the namespace's name of a node, or raise UsageError with the nodes there are."""
        return netns_name(self.lab, self.topology.node(node).name)

    @property
    def daemons(self) -> list[str]:
        """The nodes on which a LAC or an LNS of ours runs."""
        return [name for name, daemon in self.ends.items() if daemon == OUR_DAEMON]

    @property
    def peers(self) -> list[str]:
        """The nodes on which a foreign daemon runs."""
        return [name for name, daemon in self.ends.items() if daemon != OUR_DAEMON]

    @cached_property
    def ends(self) -> dict[str, str]:
        """The nodes on which a LAC or an LNS runs, and whose daemon that is."""
        return {
            node.name: node.daemon for node in self.topology.nodes if node.kind in ("lac", "lns")
        }

    def daemon(self, node: str) -> ControlClient:
        """Return a client of our daemon on a node. Raises UsageError where none of ours runs."""
        if node not in self.ends:
            self.netns(node)  # so that a wrong name is told
            raise UsageError(f"no daemon runs on {node}; daemons run on {', '.join(self.ends)}")
        if node in self.peers:
            raise UsageError(
                f"{self.ends[node]} runs on {node}, and answers no questions. Ask the other end: "
                f"{', '.join(self.daemons)}"
            )
        return ControlClient(self.folder / node / "control.sock")

    def status(self, node: str) -> dict[str, Any]:
        """Ask the daemon on a node for its status; of a foreign one, the kernel."""
        if node in self.peers:
            from lab.running.seen import seen_status  # late: most labs have no foreign daemon

            found = self.topology.node(node)
            return seen_status(
                self.netns(node), daemon=found.daemon, role=found.kind, host_name=node
            )
        with self.daemon(node) as daemon:
            return daemon.status()

    def statuses(self) -> dict[str, dict[str, Any]]:
        """Ask for the status of every node with a daemon, foreign ones too."""
        status = {node: self.status(node) for node in self.ends}
        self.complete(status)
        return status

    def complete(self, status: Mapping[str, dict[str, Any]]) -> None:
        """Add to a foreign daemon's sessions what only the other end knows of them."""
        if not self.peers:
            return
        from lab.running.seen import complete_status

        for tunnel in self.topology.l2tp.tunnels:
            for here, there in ((tunnel.lac, tunnel.lns), (tunnel.lns, tunnel.lac)):
                if here in self.peers and here in status and there in status:
                    complete_status(status[here], status[there])

    @property
    def tracer(self) -> TraceClient:
        """A client of the tracer."""
        return TraceClient(self.folder / "trace.sock")

    def sessions(self, status: Mapping[str, dict[str, Any]] | None = None) -> list[SessionEnds]:
        """Pair the two ends of every session that both daemons hold, or held by ``status``."""
        status = status or self.statuses()
        return [
            ends
            for tunnel in self.topology.l2tp.tunnels
            for ends in _pairs(tunnel, status[tunnel.lac], status[tunnel.lns])
        ]

    def dialled_by_hand(self) -> list[SessionEnds]:
        """Return the sessions beyond those that the topology's calls ask for."""
        calls = [(tunnel, call) for tunnel in self.topology.l2tp.tunnels for call in tunnel.calls]
        more = []
        for ends in self.sessions():  # in the order in which they were dialled
            if (ends.tunnel, ends.call) in calls:
                calls.remove((ends.tunnel, ends.call))
            else:
                more.append(ends)
        return more

    def targets(self, ends: SessionEnds) -> list[str]:
        """Name what a session can be tried with: hosts that its call's routes lead to.

        A call without such routes has its peer's end of PPP.
        """
        return list(self.hosts(ends.call)) or _peers(ends.lac["ppp"])

    def hosts(self, call: Call) -> Iterator[str]:
        """Name the addresses of hosts that a call's routes lead to."""
        networks = [ip_network(route) for route in call.routes]
        hosts = {node.name for node in self.topology.nodes if node.kind == "host"}
        for link in self.topology.links:
            for end in link.ends:
                for text in end.addresses if end.node in hosts else ():
                    address = text.partition("/")[0]
                    if any(ip_address(address) in network for network in networks):
                        yield address

    def link_of(self, tunnel: Tunnel) -> str:
        """Name the interface by which a tunnel leaves its LAC."""
        return way_of(self.topology, tunnel)[0].end_of(tunnel.lac).interface

    def node_of(self, address: str) -> str:
        """Name the node that owns an underlay address. KeyError when none does."""
        for link in self.topology.links:
            for end in link.ends:
                if address in (text.partition("/")[0] for text in end.addresses):
                    return end.node
        raise KeyError(address)


def _peers(ppp: dict[str, Any]) -> list[str]:
    return [text for text in (ppp["peer_ipv4"], ppp["peer_ipv6"]) if text][:1]


def _pairs(
    tunnel: Tunnel, lac_status: dict[str, Any], lns_status: dict[str, Any]
) -> Iterator[SessionEnds]:
    at_lns = {
        (entry["local_tunnel_id"], session["local_session_id"]): (entry, session)
        for entry in lns_status["tunnels"]
        for session in entry["sessions"]
    }
    for entry in lac_status["tunnels"]:
        for session in entry["sessions"]:
            ids = (entry["peer_tunnel_id"], session["peer_session_id"])
            call = next((call for call in tunnel.calls if call.user == session["user"]), None)
            if ids in at_lns and call is not None:
                yield SessionEnds(tunnel, call, entry, session, *at_lns[ids])
