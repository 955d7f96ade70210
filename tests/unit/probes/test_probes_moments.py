"""Records of moments, as rows."""

import socket
import struct

from probes.moments.events import RECORD, Moment, row_of


def record(what: Moment, *, ipv6: int, source: bytes, message: bytes) -> bytes:
    return struct.pack(
        f"={RECORD}",
        5, what, 4026532216, 7, 9, 17, 19, 3, len(message) + 100, len(message), ipv6, source,
        b"\x06\xa5", message,
    )  # fmt: skip


def test_a_control_message_has_its_source_and_its_beginning() -> None:
    for ipv6, family, address in (
        (0, socket.AF_INET, "192.0.2.1"),
        (1, socket.AF_INET6, "fd00::1"),
    ):
        source = socket.inet_pton(family, address)
        raw = record(Moment.CONTROL_RECEIVED, ipv6=ipv6, source=source, message=b"\xc8\x02")
        row = row_of(struct.unpack(f"={RECORD}", raw))
        assert (row["source"], row["port"], row["message"]) == (address, 1701, "c802")
        assert row["length"] == 102


def test_ids_and_numbers_are_told() -> None:
    raw = record(Moment.DROPPED_EXPIRED, ipv6=0, source=b"", message=b"")
    row = row_of(struct.unpack(f"={RECORD}", raw))
    assert row["event"] == "dropped_expired"
    assert (row["tunnel_id"], row["session_id"]) == (7, 9)
    assert (row["peer_tunnel_id"], row["peer_session_id"]) == (17, 19)
    assert (row["time_ns"], row["netns"], row["ns"], row["source"]) == (5, 4026532216, 3, "")
