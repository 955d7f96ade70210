"""Records that others can cause: a flood is a number in the log, not a full disk."""

import errno
import json
from random import Random

import pytest

from l2tp.daemon.flood_log import FloodLog
from l2tp.daemon.network_errors import NetworkErrors
from l2tp.kernel.udp import NetworkReport
from l2tp.log import EventLog
from l2tp.protocol.endpoint import Endpoint
from l2tp.protocol.parameters import Address, EndpointConfig


class Timers:
    """What is to be called later, and when the test says that it is later."""

    def __init__(self):
        self.waiting = []

    def call_later(self, delay_s, callback):
        self.waiting.append((delay_s, callback))

    def fire(self):
        waiting, self.waiting = self.waiting, []
        for _, callback in waiting:
            callback()


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path / "log.jsonl")
    yield log
    log.close()


@pytest.fixture
def left_out(tmp_path):
    def left_out():
        lines = (tmp_path / "log.jsonl").read_text().splitlines()
        records = [one for one in map(json.loads, lines) if one["event"] == "RecordsLeftOut"]
        return [(one["of"], one["reason"], one["count"]) for one in records]

    return left_out


def test_a_flood_is_a_number_once_its_stretch_is_over(log, left_out):
    timers = Timers()
    floods = FloodLog(log, timers.call_later, records=2, window_s=10.0)
    admitted = [floods.admits("Dropped", "unknown-tunnel") for _ in range(100)]
    assert admitted == [True] * 2 + [False] * 98
    assert floods.admits("Dropped", "wrong-source")
    assert floods.admits("Refused", "unknown-tunnel")
    assert [delay_s for delay_s, _ in timers.waiting] == [10.0] * 3
    assert not left_out()
    timers.fire()
    assert left_out() == [("Dropped", "unknown-tunnel", 98)]
    assert floods.admits("Dropped", "unknown-tunnel")


def test_what_was_left_out_is_told_at_the_end(log, left_out):
    timers = Timers()
    floods = FloodLog(log, timers.call_later, records=0)
    floods.admits("Dropped", "unknown-tunnel")
    floods.close()
    timers.fire()
    assert left_out() == [("Dropped", "unknown-tunnel", 1)]


def test_a_flood_of_forged_sources_fills_neither_log_nor_memory(log, left_out):
    floods = FloodLog(log, Timers().call_later, records=20)
    errors = NetworkErrors(log, floods, Endpoint(EndpointConfig(host_name="lns"), random=Random(1)))
    peers = [Address(f"192.0.2.{number % 250}", number) for number in range(1, 5001)]
    for peer in peers:
        errors.note(None, NetworkReport(peer, errno.ECONNREFUSED, f"said {peer}"))
    floods.close()
    assert left_out() == [("NetworkError", "Connection refused", 4980)]
    assert sum(errors.is_deaf(peer) for peer in peers) == 4096
    assert errors.is_deaf(peers[-1])
    errors.heard(peers[-1])
    assert not errors.is_deaf(peers[-1])
