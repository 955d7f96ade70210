"""What a tunnel takes of a packet."""

import pytest

from l2tp.ppp.overhead import tunnel_overhead


@pytest.mark.parametrize(
    ("version", "numbered", "octets"),
    [(4, False, 38), (4, True, 42), (6, False, 58), (6, True, 62)],
)
def test_overhead(version, numbered, octets):
    assert tunnel_overhead(version, numbered=numbered) == octets
