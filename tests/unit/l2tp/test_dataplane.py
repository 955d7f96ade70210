import errno

import pytest

from l2tp.dataplane import DataPlane, MemoryDataPlane, SessionOptions
from l2tp.protocol.errors import KernelError
from l2tp.protocol.parameters import Address

PEER = Address("192.0.2.1", 1701)
OPTIONS = SessionOptions()


def pair(options: SessionOptions = OPTIONS) -> tuple[MemoryDataPlane, MemoryDataPlane]:
    there = MemoryDataPlane()

    def carry(_: Address, datagram: bytes) -> None:
        assert there.receive(datagram)

    here = MemoryDataPlane(carry)
    here.create_tunnel(3, 1, 2, PEER)
    here.create_session(1, 10, 20, options)
    there.create_tunnel(4, 2, 1, PEER)
    there.create_session(2, 20, 10, options)
    return here, there


def test_it_is_a_data_plane() -> None:
    plane: DataPlane = MemoryDataPlane()
    plane.close()


def test_frames_travel_and_are_counted() -> None:
    here, there = pair()
    here.transmit(1, 10, b"\xff\x03frame")
    assert there.next_frame(2, 20) == b"\xff\x03frame"
    assert there.next_frame(2, 20) is None
    assert here.statistics(1, 10).tx_packets == here.statistics(1).tx_packets == 1
    assert there.statistics(2, 20).rx_packets == there.statistics(2).rx_packets == 1
    assert there.statistics(2, 20).rx_bytes == 7


def test_missing_sequence_numbers_are_discarded_where_required() -> None:
    here, there = pair()
    there.close_session(2, 20)
    there.create_session(2, 20, 10, SessionOptions(receive_sequence=True))
    here.transmit(1, 10, b"x")
    assert there.next_frame(2, 20) is None
    assert there.statistics(2, 20).rx_seq_discards == 1


def test_sequence_numbers_are_sent_where_asked() -> None:
    here, there = pair(SessionOptions(send_sequence=True, receive_sequence=True))
    here.transmit(1, 10, b"x")
    here.transmit(1, 10, b"y")
    assert (there.next_frame(2, 20), there.next_frame(2, 20)) == (b"x", b"y")


@pytest.mark.parametrize(
    ("mistake", "number"),
    [
        (lambda plane: plane.create_tunnel(3, 1, 2, PEER), errno.EEXIST),
        (lambda plane: plane.create_tunnel(3, 0, 2, PEER), errno.EINVAL),
        (lambda plane: plane.create_tunnel(3, 9, 65536, PEER), errno.EINVAL),
        (lambda plane: plane.create_session(1, 10, 20, OPTIONS), errno.EEXIST),
        (lambda plane: plane.create_session(1, 0, 20, OPTIONS), errno.EINVAL),
        (lambda plane: plane.create_session(7, 10, 20, OPTIONS), errno.ENOENT),
        (lambda plane: plane.statistics(7), errno.ENOENT),
        (lambda plane: plane.statistics(1, 11), errno.ENOENT),
        (lambda plane: plane.transmit(1, 11, b""), errno.ENOENT),
    ],
)
def test_mistakes_are_refused_as_a_kernel_would(mistake, number: int) -> None:
    here, _ = pair()
    with pytest.raises(KernelError) as caught:
        mistake(here)
    assert caught.value.errno == number


def test_closing_is_final_and_may_be_repeated() -> None:
    here, there = pair()
    for _ in range(2):
        here.close_session(1, 10)
        here.close_tunnel(1)
        there.close()
    with pytest.raises(KernelError):
        here.statistics(1)
    assert not there.receive(b"\x00\x02\x00\x02\x00\x14x")
    assert not there.receive(b"junk")
