"""Netlink messages of the driver's, taken apart."""

import struct

import pytest

from probes.figures.driver import attributes, statistics


def attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def test_statistics_have_the_names_of_struct_l2tp_stats() -> None:
    # Flagged as nested, with the padding attribute (9) that 64-bit values may need.
    nested = attribute(1, struct.pack("=Q", 23)) + attribute(9, b"") + attribute(
        8, struct.pack("=Q", 1 << 40)
    )  # fmt: skip
    message = attributes(attribute(9, struct.pack("=I", 7)) + attribute(30 | 0x8000, nested))
    assert statistics(message) == {"tx_packets": 23, "rx_errors": 1 << 40}


def test_a_message_without_statistics_has_none() -> None:
    assert statistics(attributes(b"")) == {}


@pytest.mark.parametrize("raw", [b"\x03\x00\x01\x00", b"\x09\x00\x01\x00abcd"])
def test_an_attribute_that_is_cut_short_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="netlink attribute"):
        attributes(raw)
