"""The structured log: what is in every line, and what is never in any."""

import errno
import json
import os
from dataclasses import dataclass

import pytest

from l2tp.log import EventLog, plain
from l2tp.protocol.events import MessageSent, SessionClosed
from l2tp.protocol.extensions import DisconnectCode, DisconnectDirection
from l2tp.protocol.parameters import Address, CallParameters
from l2tp.protocol.values import DisconnectCause


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / "log.jsonl")
    yield log
    log.close()


def records(tmp_path):
    return [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]


def test_every_line_has_ids_and_both_times(log, tmp_path):
    log.write("DaemonReady", role="lac")
    log.write("PppUp", local_tunnel_id=5, local_session_id=7, family="ipv4")
    first, second = records(tmp_path)
    assert first["event"] == "DaemonReady"
    assert (first["local_tunnel_id"], first["local_session_id"]) == (None, None)
    assert (second["local_tunnel_id"], second["local_session_id"]) == (5, 7)
    assert second["time_ns"] >= first["time_ns"] > 0
    assert second["wall_ns"] > 1_600_000_000_000_000_000


def test_events_keep_their_fields(log, tmp_path):
    log.write_event(
        SessionClosed(
            local_tunnel_id=5,
            local_session_id=7,
            peer_session_id=9,
            result_code=3,
            error_code=None,
            message="bye",
            cause="the peer hung up",
            by_peer=True,
        )
    )
    (record,) = records(tmp_path)
    assert record["event"] == "SessionClosed"
    assert record["local_session_id"] == 7
    assert (record["cause"], record["by_peer"], record["message"]) == (
        "the peer hung up",
        True,
        "bye",
    )


@dataclass(frozen=True)
class Message:
    challenge: bytes
    challenge_response: bytes
    call: CallParameters


def test_proofs_of_secrets_are_hidden(log, tmp_path):
    call = CallParameters(proxy_authen_name=b"alice", proxy_authen_response=b"wonderland")
    message = Message(b"\x01\x02", b"\x03\x04", call)
    log.write_event(
        MessageSent(
            local_tunnel_id=5,
            local_session_id=0,
            peer=Address("192.0.2.1", 1701),
            name="SCCRP",
            ns=0,
            nr=1,
            message=message,
            transmission=1,
        )
    )
    (record,) = records(tmp_path)
    assert record["peer"] == "192.0.2.1:1701"
    assert record["message"]["challenge"] == "0102"
    assert record["message"]["challenge_response"] == "(hidden)"
    assert record["message"]["call"]["proxy_authen_response"] == "(hidden)"
    text = (tmp_path / "log.jsonl").read_text()
    assert "0304" not in text
    assert b"wonderland".hex() not in text


def test_listeners_hear_until_they_leave(log):
    heard = []
    leave = log.listen(heard.append)
    log.write("One")
    leave()
    log.write("Two")
    assert [record["event"] for record in heard] == ["One"]


def test_others_cannot_read_it(log, tmp_path):
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (b"\xff\x00", "ff00"),
        ({"a": {1}}, {"a": [1]}),
        ({"password": "x", "user": "y"}, {"password": "(hidden)", "user": "y"}),
        (Address("2001:db8::1", 1701), "[2001:db8::1]:1701"),
        (
            DisconnectCause(
                DisconnectCode.NORMAL, 0xC021, DisconnectDirection.AT_PEER, "the peer ended PPP"
            ),
            {"code": 3, "protocol": 0xC021, "direction": 1, "message": "the peer ended PPP"},
        ),
    ],
)
def test_plain(value, expected):
    assert plain(value) == expected


class Disk:
    """A file with so much room, in octets, as what a full disk does to one that is written to."""

    def __init__(self, path):
        self.room = 0
        self._file = path.open("ab", buffering=0)

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._file.write(data[: self.room])
        self.room -= written
        return written

    def close(self):
        self._file.close()


def test_a_full_disk_costs_records_and_nothing_else(log, tmp_path):
    heard = []
    log.listen(heard.append)
    log._file.close()
    log._file = disk = Disk(tmp_path / "log.jsonl")
    log.write("Lost")
    assert (log.lost_records, log.failure) == (1, "No space left on device")
    disk.room = 20
    log.write("CutOff")
    log.write("LostToo")
    disk.room = 10_000
    log.write("Whole")
    assert [record["event"] for record in heard] == ["Lost", "CutOff", "LostToo", "Whole"]
    assert [record["event"] for record in records(tmp_path)] == ["CutOff", "Whole"]
    assert (log.lost_records, log.failure) == (2, None)


def test_a_log_that_cannot_be_opened_anew_goes_on_in_the_old_file(log, tmp_path):
    path = tmp_path / "log.jsonl"
    path.rename(tmp_path / "log.jsonl.1")
    path.mkdir()
    log.reopen()
    assert log.failure == "Is a directory"
    log.write("One")
    path.rmdir()
    log.reopen()
    log.write("Two")
    assert [record["event"] for record in records(tmp_path)] == ["Two"]
    assert "One" in (tmp_path / "log.jsonl.1").read_text()
