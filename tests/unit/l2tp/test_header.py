import pytest

from l2tp.protocol.errors import HeaderError
from l2tp.protocol.header import (
    ControlHeader,
    DataHeader,
    decode_header,
    encode_control,
    encode_data,
)

# Laid out by hand from the figure in RFC 2661 §3.1.
ZLB = bytes.fromhex("c802 000c 1234 0000 0007 0009")

GOOD = [
    (ZLB, ControlHeader(12, 0x1234, 0, 7, 9)),
    (ZLB + b"trailing octets", ControlHeader(12, 0x1234, 0, 7, 9)),
    # Reserved bits and P are ignored on receipt.
    (bytes.fromhex("f9f2 000c 0001 0002 0003 0004"), ControlHeader(12, 1, 2, 3, 4)),
    (bytes.fromhex("0002 0001 0002 ff03"), DataHeader(1, 2, None, None, 6, 8)),
    (bytes.fromhex("4002 0009 0001 0002 aa bbcc"), DataHeader(1, 2, None, None, 8, 9)),
    (bytes.fromhex("0802 0001 0002 0005 0000 aa"), DataHeader(1, 2, 5, 0, 10, 11)),
    (bytes.fromhex("0202 0001 0002 0003 000000 aa"), DataHeader(1, 2, None, None, 11, 12)),
    (
        bytes.fromhex("4a02 0012 0001 0002 0005 0006 0001 ff aabbcc"),
        DataHeader(1, 2, 5, 6, 15, 18),
    ),
]

BAD = [
    ("", "0 octets hold no header"),
    ("c8", "1 octets hold no header"),
    ("c803 000c 0001 0000 0000 0000", "version is 3"),
    ("c801 000c 0001 0000 0000 0000", "version is 1"),
    ("8802 0001 0000 0000 0000", "flags 0x8802"),
    ("c002 000c 0001 0000 0000 0000", "flags 0xc002"),
    ("ca02 000c 0001 0000 0000 0000 0000", "flags 0xca02"),
    ("c802 000c 0001 0000 0000 00", "11 octets are no control header"),
    ("c802 000b 0001 0000 0000 0000", "Length is 11"),
    ("c802 000d 0001 0000 0000 0000", "Length is 13"),
    ("0002 0001 00", "5 octets are no data header"),
    ("4002 0010 0001 0002", "Length is 16"),
    ("4002 0006 0001 0002 aaaa", "header ends at 8, the message at 6"),
    ("0202 0001 0002 0010 aaaa", "header ends at 24, the message at 10"),
    ("0802 0001 0002 0003", "8 octets are no data header"),
]


@pytest.mark.rfc2661("3.1-control-bits-in", "3.1-reserved", "3.1-offset", "3.1-length")
@pytest.mark.parametrize(("data", "expected"), GOOD)
def test_decodes(data: bytes, expected: ControlHeader | DataHeader) -> None:
    assert decode_header(data) == expected
    assert type(decode_header(data)) is type(expected)


@pytest.mark.rfc2661("3.1-unknown-version", "3.1-length", "3.1-control-bits-in", "8.1-l2f")
@pytest.mark.parametrize(("octets", "text"), BAD)
def test_refuses(octets: str, text: str) -> None:
    with pytest.raises(HeaderError, match=text) as caught:
        decode_header(bytes.fromhex(octets))
    assert caught.value.section == "§3.1"


@pytest.mark.rfc2661("3.1-control-bits", "3.1-version")
def test_encodes_a_zlb() -> None:
    assert encode_control(0x1234, 0, 7, 9) == ZLB


@pytest.mark.rfc2661("3.1-length")
def test_length_counts_the_body() -> None:
    data = encode_control(1, 2, 3, 4, b"abcde")
    assert data[2:4] == b"\x00\x11"
    assert decode_header(data) == ControlHeader(17, 1, 2, 3, 4)


@pytest.mark.parametrize("ns", [None, 0, 65535])
def test_data_headers_come_back(ns: int | None) -> None:
    data = encode_data(8, 9, b"frame", ns=ns)
    header = decode_header(data)
    assert isinstance(header, DataHeader)
    assert (header.tunnel_id, header.session_id, header.ns) == (8, 9, ns)
    assert data[header.payload_start : header.payload_end] == b"frame"
