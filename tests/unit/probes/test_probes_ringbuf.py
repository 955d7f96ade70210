"""The ring buffer's reading end, on memory laid out as the kernel lays it out."""

import mmap
import os
import struct
from collections.abc import Iterator

import pytest

from probes.hooks.ringbuf import RingBuffer

OCTETS = mmap.PAGESIZE
RECORD = struct.Struct("=IIQI4x")  # header, and a record of 12 octets, padded to 8
BUSY, DISCARDED = 1 << 31, 1 << 30


class Ring:
    """The writing end. A file cannot show its pages twice, so both copies are written."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * mmap.PAGESIZE + 2 * OCTETS)
        self.produced = 0

    def put(self, number: int, flags: int = 0) -> None:
        raw = RECORD.pack(12 | flags, 0, number, number + 1)
        for index, octet in enumerate(raw):
            at = (self.produced + index) % OCTETS
            for copy in (0, OCTETS):
                os.pwrite(self.fd, bytes([octet]), 2 * mmap.PAGESIZE + copy + at)
        self.produced += len(raw)
        os.pwrite(self.fd, struct.pack("=Q", self.produced), mmap.PAGESIZE)

    def consumed(self) -> int:
        return int(struct.unpack("=Q", os.pread(self.fd, 8, 0))[0])


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring()
    yield ring
    os.close(ring.fd)


def test_takes_each_record_once_in_order(ring: Ring) -> None:
    buffer = RingBuffer(ring.fd, OCTETS, "QI")
    assert buffer.drain() == []
    for number in range(3):
        ring.put(number)
    assert buffer.drain() == [(0, 1), (1, 2), (2, 3)]
    assert buffer.drain() == []
    assert ring.consumed() == ring.produced
    buffer.close()


def test_records_that_wrap_around_are_whole(ring: Ring) -> None:
    buffer = RingBuffer(ring.fd, OCTETS, "QI")
    for number in range(1000):
        ring.put(number)
        assert buffer.drain() == [(number, number + 1)]
    buffer.close()


def test_stops_at_a_record_that_is_still_written(ring: Ring) -> None:
    buffer = RingBuffer(ring.fd, OCTETS, "QI")
    ring.put(1)
    ring.put(2, BUSY)
    ring.put(3)
    assert buffer.drain() == [(1, 2)]
    assert ring.consumed() == RECORD.size
    buffer.close()


def test_passes_over_what_was_discarded(ring: Ring) -> None:
    buffer = RingBuffer(ring.fd, OCTETS, "QI")
    ring.put(1, DISCARDED)
    ring.put(2)
    assert buffer.drain() == [(2, 3)]
    buffer.close()
