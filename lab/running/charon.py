"""Ends IPsec between two nodes while their way stays open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.errors import LabError
from lab.instruments.kernelview import run_in
from lab.running.ipsec import ipsec_folder
from lab.running.live import Live
from lab.topology import Tunnel


@contextmanager
def association_ended(live: Live, tunnel: Tunnel) -> Iterator[None]:
    """Have a tunnel's LNS end its association, and refuse another until the block ends.

    Raises LabError with swanctl's own words.
    """
    # Without connections charon refuses whoever asks; those that there are live on (swanctl(8)).
    _swanctl(live, tunnel.lns, "--load-conns", "--file", "/dev/null")
    try:
        # charon's name for a connection is the node at its other end (lab/running/ipsec.py).
        _swanctl(live, tunnel.lns, "--terminate", "--ike", tunnel.lac)
        yield
    finally:
        _swanctl(live, tunnel.lns, "--load-conns")


def _swanctl(live: Live, node: str, *words: str) -> None:
    home = ipsec_folder(live.folder, node)
    done = run_in(
        live.netns(node),
        [
            *("env", f"STRONGSWAN_CONF={home}/strongswan.conf", f"SWANCTL_DIR={home}"),
            *("swanctl", *words, "--uri", f"unix://{home}/vici.sock"),
        ],
    )
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        raise LabError(f"swanctl {' '.join(words)} on {node}: {said}")
