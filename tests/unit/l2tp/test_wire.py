import pytest

from l2tp.protocol.constants import ErrorCode
from l2tp.protocol.errors import RemoteProtocolError
from l2tp.protocol.wire import Reader, Writer


def test_reads_what_was_written() -> None:
    data = Writer().uint8(1).uint16(2).uint32(3).octets(b"xyz").getvalue()
    reader = Reader(data, section="§0")
    assert (reader.uint8(), reader.uint16(), reader.uint32(), reader.rest()) == (1, 2, 3, b"xyz")
    reader.finish()


@pytest.mark.parametrize(
    ("take", "size"),
    [
        (Reader.uint8, 0),
        (Reader.uint16, 1),
        (Reader.uint32, 3),
        (lambda reader: reader.octets(5), 4),
        (lambda reader: reader.octets(-1), 4),
        (lambda reader: reader.bounded(5), 4),
    ],
)
def test_never_reads_past_its_bound(take, size) -> None:
    # The octets after the bound are there: only the bound keeps the reader from them.
    reader = Reader(bytes(20), 2, 2 + size, section="§4.1")
    with pytest.raises(RemoteProtocolError) as caught:
        take(reader)
    assert caught.value.result.error == ErrorCode.LENGTH_IS_WRONG
    assert caught.value.section == "§4.1"


def test_must_consume_exactly_its_bound() -> None:
    outer = Reader(b"abcdef", section="§0")
    inner = outer.bounded(4)
    assert inner.octets(3) == b"abc"
    with pytest.raises(RemoteProtocolError, match="1 octets are left over"):
        inner.finish()
    assert inner.rest() == b"d"
    inner.finish()
    assert outer.rest() == b"ef"


def test_bound_beyond_the_data_is_cut() -> None:
    assert Reader(b"ab", 0, 10, section="§0").remaining == 2
