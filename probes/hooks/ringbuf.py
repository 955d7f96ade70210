"""A BPF ring buffer of records of one size, drained in bulk.

Programs put records in without waking anybody, and count those for which there
was no room; whoever drains does so on a timer. A callback for each record, as
libbpf offers it, costs Python five times what unpacking them together does.
Layout: Documentation/bpf/ringbuf.rst, kernel/bpf/ringbuf.c.
"""

import mmap
import struct
from typing import Any

_PAGE = mmap.PAGESIZE
_POSITION = struct.Struct("=Q")
# The header before a record: its length, whose two upper bits are flags, and a page offset.
_BUSY, _DISCARDED = 1 << 31, 1 << 30


class RingBuffer:
    """The reading end of a ring buffer.

    fd: the map (BPF_MAP_TYPE_RINGBUF). octets: its size, a power of two.
    record: struct codes of a record, without byte order, such as "QI4x"; of
    native byte order, without padding of its own. Raises OSError.
    """

    def __init__(self, fd: int, octets: int, record: str) -> None:
        self._octets = octets
        size = struct.calcsize(f"={record}")
        self._length = size
        padding = -size % 8
        self._records = struct.Struct(f"=I4x{record}{padding}x")
        self._consumer = mmap.mmap(fd, _PAGE)
        try:
            # The data follows twice, so that what wraps around can be read in one piece.
            self._producer = mmap.mmap(fd, _PAGE + 2 * octets, prot=mmap.PROT_READ, offset=_PAGE)
        except BaseException:
            self._consumer.close()
            raise

    def drain(self) -> list[tuple[Any, ...]]:
        """Take the records that are there, the oldest first."""
        (at,) = _POSITION.unpack_from(self._consumer)
        (end,) = _POSITION.unpack_from(self._producer)
        start = _PAGE + at % self._octets
        records = []
        taken = 0
        for length, *record in self._records.iter_unpack(self._producer[start : start + end - at]):
            if length & _BUSY:  # still being written; those behind it must wait for it
                break
            taken += self._records.size
            if not length & _DISCARDED:
                records.append(tuple(record))
        _POSITION.pack_into(self._consumer, 0, at + taken)
        return records

    def close(self) -> None:
        """Let the memory go. May be called again."""
        self._consumer.close()
        self._producer.close()
