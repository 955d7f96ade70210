"""Takes the vectors anew: ``l2tp-lab shell -- python3 -m tests.vectors.take`` prints the JSON.

xl2tpd runs as LNS of our LAC and as LAC of our LNS in two namespaces of the appliance, and
tcpdump on the link between; tshark then cuts out the control messages that xl2tpd sent.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.instruments.capture import capture
from tests.kernel.daemon_support import ADDRESSES, until
from tests.kernel.xl2tpd_support import MixedNetwork, xl2tpd_lac, xl2tpd_lns

_HELLO_S = 70.0
"""xl2tpd says HELLO a minute after its tunnel's start."""


def main() -> None:
    """Take every exchange and print them."""
    version = _run("dpkg-query", "-W", "-f", "${Version}", "xl2tpd")
    kernel = _run("uname", "-r")
    exchanges = []
    for name, (said_of, play) in EXCHANGES.items():
        with tempfile.TemporaryDirectory() as folder:
            octets = play(Path(folder))
        exchanges.append({"name": name, "about": said_of, "octets": octets})
        print(f"{name}: {len(octets)} messages", file=sys.stderr)
    taken = {
        "program": f"xl2tpd {version} (Debian)",
        "kernel": kernel,
        "how": "tcpdump on the link, tshark -Y l2tp -e udp.payload, what xl2tpd sent",
        "command": "l2tp-lab shell -- python3 -m tests.vectors.take",
        "secret": "between us",
        "exchanges": exchanges,
    }
    print(json.dumps(taken, indent=1))


def _as_lns(folder: Path) -> list[str]:
    """Two calls in one tunnel; the LAC hangs one up, then goes, and HELLO is waited for."""
    with MixedNetwork(folder, xl2tpd_lns()) as network, _captured(network) as octets:
        network.start_peer()
        network.start("lac")
        network.wait_ready("lac")
        with network.client("lac") as client:
            second = client.call(user="alice", routes=[], addresses=[])
        network.wait_ready("lac", count=2)
        with network.client("lac") as client:
            client.hangup(second["local_tunnel_id"], second["local_session_id"])
        time.sleep(_HELLO_S)
        with network.client("lac") as client:
            client.stop()
    return octets


def _as_lac(folder: Path) -> list[str]:
    """One call with a Random Vector in each message; pppd ends, then the tunnel is closed."""
    with MixedNetwork(folder, xl2tpd_lac(hidden_bit=True)) as network, _captured(network) as octets:
        network.start("lns")
        with network.client("lns"):
            pass
        network.start_peer()
        network.wait_ready("lns")
        _end_pppd(network)
        until(lambda: '"name": "CDN"' in network.events(), "xl2tpd's CDN")
        network.command_peer("d only")
        until(lambda: '"name": "StopCCN"' in network.events(), "xl2tpd's StopCCN")
    return octets


def _as_lns_that_dials(folder: Path) -> list[str]:
    """An outgoing call that xl2tpd asks our end for, which takes none there."""
    peer = xl2tpd_lac(autodial=False)
    with MixedNetwork(folder, peer) as network, _captured(network) as octets:
        network.start("lns")
        with network.client("lns"):
            pass
        network.start_peer()
        network.command_peer("o only 5551234")
        until(lambda: '"name": "OCRQ"' in network.events(), "xl2tpd's OCRQ")
    return octets


EXCHANGES: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "as-lns": ("answers our LAC: two calls, a hang-up, HELLO, our StopCCN", _as_lns),
    "as-lac": ("calls our LNS with “hidden bit = yes”: a call, its end, the tunnel's", _as_lac),
    "dials": ("asks our LNS for an outgoing call, which is refused", _as_lns_that_dials),
}


@contextmanager
def _captured(network: MixedNetwork) -> Iterator[list[str]]:
    octets: list[str] = []
    with capture(network.names[network.ours], "up0") as captured:
        yield octets
        theirs = ADDRESSES[4][network.role]
        wanted = f"l2tp.type == 1 && ip.src == {theirs}"
        fields = ("-T", "fields", "-e", "udp.payload")
        octets += _run("tshark", "-n", "-r", str(captured.file), "-Y", wanted, *fields).split()


def _end_pppd(network: MixedNetwork) -> None:
    for pid in network.run("ip", "netns", "pids", network.names[network.role]).split():
        if Path(f"/proc/{pid}/comm").read_text().strip() == "pppd":
            network.run("kill", "-TERM", pid)


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
