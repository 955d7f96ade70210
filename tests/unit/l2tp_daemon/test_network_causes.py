"""What the network's refusals point to."""

import errno
import os

import pytest

from l2tp.daemon.network_causes import explain
from l2tp.protocol.parameters import Address

PEER = Address("192.0.2.2", 1701)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ECONNREFUSED, "nobody listens on UDP port 1701 there"),
        (errno.ENETUNREACH, "no route to it: see `ip route get 192.0.2.2`"),
        (errno.EHOSTUNREACH, "`ip neigh`"),
        (errno.EPERM, "a firewall here"),
    ],
)
def test_a_refusal_names_its_cause(code, words):
    text = explain(code, os.strerror(code), PEER)
    assert text.startswith(f"{os.strerror(code)} (")
    assert words in text


def test_what_is_not_known_is_told_as_it_is():
    assert explain(errno.EIO, "Input/output error", PEER) == "Input/output error"
