"""What a topology says to strongSwan: a charon in each node whose tunnels run inside IPsec.

Each has a folder of its own and sees no other (lab/running/start_charon.py). Only the plugins named
here are loaded, none of which opens a socket but vici's.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lab.network.plan import File, Folder, Process
from lab.topology import Node, Topology, Tunnel, netns_name

if TYPE_CHECKING:
    from lab.running.certificates import Authority

_PLUGINS = (
    "random nonce x509 revocation constraints pubkey pkcs1 pkcs8 pem openssl drbg "
    "kernel-netlink socket-default vici"
)

# A dead peer is given up after 1 + 1.8 + 3.2 + 5.8 s more (strongswan.conf(5), retransmission).
# After that the next packet may ask again: the kernel keeps it from asking while an acquire lives.
_STRONGSWAN = """\
charon-systemd {{
  load = {plugins}
  install_routes = no
  retransmit_timeout = 1.0
  retransmit_tries = 3
  plugins {{
    vici {{ socket = unix://{folder}/vici.sock }}
    kernel-netlink {{ xfrm_acq_expires = 12 }}
  }}
  filelog {{
    stderr {{
      default = 1
      time_format = %T
    }}
  }}
  journal {{ default = -1 }}
  start-scripts {{ load = swanctl --load-all --noprompt --uri unix://{folder}/vici.sock }}
}}
swanctl {{ load = random x509 pubkey pkcs1 pkcs8 pem openssl }}
"""

# "trap": the first packet of a tunnel, and the first after an association died, asks for a new
# one; until it is there no such packet leaves.
_CONNECTION = """\
  {name} {{
    version = 2
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = aes128gcm16-prfsha256-ecp256
    dpd_delay = {dead_peer_s}s
    unique = replace
    local {{ {local_auth} }}
    remote {{ {remote_auth} }}
    children {{
      l2tp {{
        mode = transport
        esp_proposals = aes128gcm16
        local_ts = dynamic[{local_traffic}]
        remote_ts = dynamic[{remote_traffic}]
        start_action = {start}
        dpd_action = {dead}
        close_action = {start}
      }}
    }}
  }}
"""

_SECRET = """\
  ike-{name} {{
    id-1 = {lac}
    id-2 = {lns}
    secret = 0s{secret}
  }}
"""


def protected_tunnels(topology: Topology) -> tuple[Tunnel, ...]:
    """Give the tunnels that run inside IPsec, one of each pair of nodes."""
    pairs = {(t.lac, t.lns): t for t in reversed(topology.l2tp.tunnels) if t.ipsec is not None}
    return tuple(pairs.values())[::-1]


def protected_nodes(topology: Topology) -> tuple[Node, ...]:
    """Give the nodes that run a charon, answerers first."""
    tunnels = protected_tunnels(topology)
    ends = {name for tunnel in tunnels for name in (tunnel.lns, tunnel.lac)}
    nodes = [node for node in topology.nodes if node.name in ends]
    return tuple(sorted(nodes, key=lambda node: node.kind != "lns"))


def ipsec_folder(folder: Path, node: str) -> Path:
    """Name the folder of a node's charon inside the runtime folder."""
    return folder / f"{node}.ipsec"


def ipsec_files(
    topology: Topology, folder: Path, *, authority: Authority | None = None
) -> tuple[Folder | File, ...]:
    """Lay out each charon's folder inside the runtime folder.

    ``authority`` signs what the tunnels with certificates need; what is secret only root can read.
    """
    return tuple(_files(topology, folder, authority))


def _files(
    topology: Topology, folder: Path, authority: Authority | None
) -> Iterator[Folder | File]:
    for node in protected_nodes(topology):
        home = ipsec_folder(folder, node.name)
        own = [t for t in protected_tunnels(topology) if node.name in (t.lac, t.lns)]
        yield Folder(str(home))
        strongswan = _STRONGSWAN.format(plugins=_PLUGINS, folder=home)
        yield File(str(home / "strongswan.conf"), strongswan, 0o600)
        swanctl = swanctl_text(own, node.name, topology.l2tp.port)
        yield File(str(home / "swanctl.conf"), swanctl, 0o600)
        if any(_is_by_certificate(tunnel) for tunnel in own):
            if authority is None:
                raise ValueError("tunnels with certificates need somebody to sign them")
            yield from _certificates(home, node.name, authority)


def _certificates(home: Path, node: str, authority: Authority) -> Iterator[Folder | File]:
    key, certificate = authority.issue(node)
    for name, file, text in (
        ("private", "key.pem", key),
        ("x509", "node.pem", certificate),
        ("x509ca", "ca.pem", authority.certificate),
    ):
        yield Folder(str(home / name))
        yield File(str(home / name / file), text, 0o600)


def swanctl_text(tunnels: list[Tunnel], node: str, port: int) -> str:
    """Write swanctl.conf(5) for the charon of a node that these tunnels begin or end at."""
    connections = "".join(_connection(tunnel, node, port) for tunnel in tunnels)
    secrets = "".join(_secret(tunnel) for tunnel in tunnels if not _is_by_certificate(tunnel))
    return f"connections {{\n{connections}}}\nsecrets {{\n{secrets}}}\n"


def _connection(tunnel: Tunnel, node: str, port: int) -> str:
    calls = node == tunnel.lac
    peer = tunnel.lns if calls else tunnel.lac
    return _CONNECTION.format(
        name=peer,
        local=tunnel.lac_address if calls else tunnel.lns_address,
        # Who calls may come from behind a NAT.
        remote=tunnel.lns_address if calls else "%any",
        dead_peer_s=tunnel.ipsec.dead_peer_s if tunnel.ipsec else 0,
        local_auth=_proof(tunnel, node, own=True),
        remote_auth=_proof(tunnel, peer, own=False),
        # A LAC's second tunnel to the same LNS has another port than the first.
        local_traffic="udp" if calls else f"udp/{port}",
        remote_traffic=f"udp/{port}" if calls else "udp",
        start="trap" if calls else "none",
        dead="trap" if calls else "clear",
    )


def _proof(tunnel: Tunnel, node: str, *, own: bool) -> str:
    if not _is_by_certificate(tunnel):
        return f"auth = psk\n      id = {node}\n   "
    proof = "certs = node.pem" if own else "cacerts = ca.pem"
    return f'auth = pubkey\n      {proof}\n      id = "CN={node}"\n   '


def _secret(tunnel: Tunnel) -> str:
    secret = tunnel.ipsec.psk if tunnel.ipsec and tunnel.ipsec.psk else ""
    encoded = base64.b64encode(secret.encode()).decode()
    return _SECRET.format(name=tunnel.lac, lac=tunnel.lac, lns=tunnel.lns, secret=encoded)


def _is_by_certificate(tunnel: Tunnel) -> bool:
    return tunnel.ipsec is not None and tunnel.ipsec.psk is None


def needs_certificates(topology: Topology) -> bool:
    """Tell whether somebody must sign certificates for this topology."""
    return any(_is_by_certificate(tunnel) for tunnel in protected_tunnels(topology))


def ipsec_processes(
    topology: Topology, folder: Path, *, lab: str, python: str = sys.executable
) -> tuple[Process, ...]:
    """Say how each charon is started, inside its node's namespace; ``python`` is a program."""
    return tuple(
        Process(
            name=f"charon-{node.name}",
            netns=netns_name(lab, node.name),
            argv=(python, "-m", "lab.running.start_charon", str(ipsec_folder(folder, node.name))),
            log=str(ipsec_folder(folder, node.name) / "charon.log"),
        )
        for node in protected_nodes(topology)
    )
