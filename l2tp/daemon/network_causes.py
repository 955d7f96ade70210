"""What the network's refusals point to: errno → cause in words, and what shows it."""

from __future__ import annotations

import errno
from typing import Final

from l2tp.protocol.parameters import Address

_CAUSES: Final = {
    errno.ECONNREFUSED: (
        "nobody listens on UDP port {port} there: start the peer, and see `ss -lun` there"
    ),
    errno.ENETUNREACH: "there is no route to it: see `ip route get {host}`",
    errno.EHOSTUNREACH: (
        "a router, or the last link, cannot reach it: see `ip route get {host}` and `ip neigh`"
    ),
    errno.EPERM: "a firewall here refuses to send it: see `nft list ruleset`",
    errno.EACCES: "a firewall or a prohibiting route refuses it: see `ip route get {host}`",
    errno.EMSGSIZE: "the path takes no datagram that long: see `ip route get {host}`",
    errno.EADDRNOTAVAIL: "our address is gone from this namespace: see `ip address`",
}


def explain(code: int, text: str, destination: Address) -> str:
    """Say what a refused datagram points to; `text` is what the network itself said."""
    cause = _CAUSES.get(code)
    if cause is None:
        return text
    return f"{text} ({cause.format(host=destination.host, port=destination.port)})"
