"""What ping and iperf3 say, read; the programs themselves run in the kernel tests."""

from __future__ import annotations

import json

import pytest

from lab.errors import CannotRun
from lab.instruments import iperf
from lab.instruments.iperf import read_iperf
from lab.instruments.nftables import read_counters
from lab.instruments.ping import PingResult, read_ping

# From iputils 20240117 and 20221126 in the lab.
_ANSWERED = """PING 203.0.113.2 (203.0.113.2) 56(84) bytes of data.
64 bytes from 203.0.113.2: icmp_seq=1 ttl=63 time=0.4 ms

--- 203.0.113.2 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 404ms
rtt min/avg/max/mdev = 0.297/0.411/0.573/0.117 ms
"""
_TOO_LONG = """PING 203.0.113.2 (203.0.113.2) 1431(1459) bytes of data.

--- 203.0.113.2 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 6ms

ping: sendmsg: Message too long
"""
_TOO_LONG_OLDER = _TOO_LONG.replace("sendmsg: Message too long", "local error: message too long")
_NEEDS_FRAGMENTS = """PING 10.64.0.2 (10.64.0.2) 1431(1459) bytes of data.
From 203.0.113.1 icmp_seq=1 Frag needed and DF set (mtu = 1458)

--- 10.64.0.2 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms
"""
_TOO_BIG_V6 = _NEEDS_FRAGMENTS.replace(
    "From 203.0.113.1 icmp_seq=1 Frag needed and DF set (mtu = 1458)",
    "From 2001:db8:3::1 icmp_seq=1 Packet too big: mtu=1458",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_ANSWERED, PingResult(3, 3, 0.411, None, None, False)),
        (_TOO_LONG, PingResult(1, 0, None, None, None, True)),
        (_TOO_LONG_OLDER, PingResult(1, 0, None, None, None, True)),
        (_NEEDS_FRAGMENTS, PingResult(1, 0, None, 1458, "203.0.113.1", False)),
        (_TOO_BIG_V6, PingResult(1, 0, None, 1458, "2001:db8:3::1", False)),
        ("ping: connect: Network is unreachable", PingResult(0, 0, None, None, None, False)),
    ],
)
def test_ping_is_read(text: str, expected: PingResult) -> None:
    assert read_ping(text) == expected


def test_iperf_reports_what_the_receiver_got() -> None:
    report = {"end": {"sum_received": {"bytes": 1250000, "bits_per_second": 10_000_000.0}}}
    result = read_iperf(json.dumps(report))
    assert (result.received_bytes, result.mbit_s) == (1250000, 10.0)


def test_iperfs_datagrams_have_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"end": {"sum": {"seconds": 2.0, "packets": 40_000}}}
    monkeypatch.setattr(iperf, "_run", lambda *_: json.dumps(report))
    assert iperf.iperf_udp_ns("a", "b", "192.0.2.1", payload=36, seconds=2) == 50_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"error": "unable to connect to server"}', "unable to connect to server"),
        ("", "gave no report"),
    ],
)
def test_iperf_that_did_not_run_says_why(text: str, words: str) -> None:
    with pytest.raises(CannotRun, match=words):
        read_iperf(text)


NFT = """{"nftables": [
  {"metainfo": {"json_schema_version": 1}},
  {"chain": {"family": "inet", "table": "guard", "name": "out"}},
  {"rule": {"chain": "in", "expr": [{"counter": {"packets": 1, "bytes": 60}}, {"drop": null}]}},
  {"rule": {"chain": "out", "expr": [{"return": null}]}},
  {"rule": {"chain": "out", "expr": [{"counter": {"packets": 3, "bytes": 180}}, {"drop": null}]}},
  {"rule": {"chain": "out", "expr": [{"counter": {"packets": 4, "bytes": 240}}, {"drop": null}]}}
]}"""


def test_counters_are_those_of_the_chains_asked_for() -> None:
    assert list(read_counters(NFT, ("out",))) == [3, 4]
    assert list(read_counters(NFT, ("in", "out"))) == [1, 3, 4]
