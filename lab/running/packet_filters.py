"""The nodes' packet filters: NAT at routers, and a guard at each end of a tunnel inside IPsec.

The guard needs neither strongSwan nor our daemons to be right, nor alive.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface, ip_network
from pathlib import Path

from lab.network.plan import File, Ruleset
from lab.running.ipsec import protected_nodes
from lab.topology import Node, Topology, netns_name

GUARD = "l2tp_lab"
"""The guard's table, of family inet."""

USERS = "users"
"""The guard's chain of what belongs into the sessions, at a LAC whose calls have routes."""

# Whatever strongSwan does, L2TP neither leaves nor arrives outside IPsec.
_L2TP = """\
  chain in {{
    type filter hook input priority filter;
    udp dport {port} meta secpath missing counter drop
  }}
  chain out {{
    type filter hook output priority filter;
    udp {direction} {port} rt ipsec missing counter drop
  }}
"""

# The routes into a session go with it, and any other that fits, a default route say, would then
# lead what users send out in the clear. IKE and ESP pass, for a call's route may be the default.
_USERS = """\
  chain {name} {{
    oiftype {{ ppp, loopback }} return
    rt ipsec exists return
    meta l4proto esp return
    udp dport {{ 500, 4500 }} return
{returned}{dropped}  }}
  chain users_out {{
    type filter hook output priority filter;
    jump {name}
  }}
  chain users_forward {{
    type filter hook forward priority filter;
    jump {name}
  }}
"""

_NAT = """\
table ip l2tp_lab {{
  chain out {{
    type nat hook postrouting priority srcnat;
    oifname "{interface}" masquerade
  }}
}}
"""


def filter_files(topology: Topology, folder: Path) -> tuple[File, ...]:
    """Write each filter's rules into the runtime folder."""
    return tuple(File(str(path), text, 0o600) for _, path, text in _rules(topology, folder))


def rulesets(topology: Topology, folder: Path, *, lab: str) -> tuple[Ruleset, ...]:
    """Say which node's namespace gets which of those files."""
    return tuple(
        Ruleset(netns_name(lab, node), str(path)) for node, path, _ in _rules(topology, folder)
    )


def _rules(topology: Topology, folder: Path) -> Iterator[tuple[str, Path, str]]:
    for node in topology.nodes:
        if node.nat is not None:
            yield node.name, folder / f"{node.name}.nft", _NAT.format(interface=node.nat)
    for node in protected_nodes(topology):
        yield node.name, folder / f"{node.name}.nft", _guard(topology, node)


def _guard(topology: Topology, node: Node) -> str:
    direction = "dport" if node.kind == "lac" else "sport"
    chains = _L2TP.format(port=topology.l2tp.port, direction=direction)
    if routes := _users_routes(topology, node):
        chains += _USERS.format(
            name=USERS,
            returned=_verdicts(_own_networks(topology, node), "return"),
            dropped=_verdicts(routes, "counter drop"),
        )
    return f"table inet {GUARD} {{\n{chains}}}\n"


def _users_routes(topology: Topology, node: Node) -> list[str]:
    calls = [
        call
        for tunnel in topology.l2tp.tunnels
        if tunnel.lac == node.name and tunnel.ipsec is not None
        for call in tunnel.calls
    ]
    return [route for call in calls for route in call.routes]


def _own_networks(topology: Topology, node: Node) -> list[str]:
    """Give the networks of a node's links: its neighbours are nobody's way into a session."""
    ends = [end for link in topology.links for end in link.ends if end.node == node.name]
    return [str(ip_interface(text).network) for end in ends for text in end.addresses]


def _verdicts(prefixes: list[str], verdict: str) -> str:
    """Write a rule for each prefix: a set would refuse those that overlap."""
    return "".join(
        f"    {'ip' if ip_network(prefix).version == 4 else 'ip6'} daddr {prefix} {verdict}\n"
        for prefix in dict.fromkeys(prefixes)
    )
