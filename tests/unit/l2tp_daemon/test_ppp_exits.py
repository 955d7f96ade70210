import signal

import pytest

from l2tp.ppp.exits import (
    IPCP,
    IPV6CP,
    LCP,
    NOT_SET_UP,
    explain_exit,
    name_network_protocol,
)
from l2tp.protocol.constants import CallResult, ErrorCode


@pytest.mark.parametrize(
    ("status", "result", "words"),
    [
        (2, CallResult.GENERAL_ERROR, "options"),
        (4, CallResult.GENERAL_ERROR, "modprobe ppp_generic"),
        (11, CallResult.ADMINISTRATIVE, "the peer failed to authenticate"),
        (15, CallResult.LOST_CARRIER, "echo"),
        (19, CallResult.ADMINISTRATIVE, "we failed to authenticate"),
        (99, CallResult.GENERAL_ERROR, "status 99"),
        (-9, CallResult.GENERAL_ERROR, "signal 9"),
    ],
)
def test_statuses(status, result, words):
    end = explain_exit(status)
    assert end.result is result
    assert words in end.cause


@pytest.mark.parametrize("status", [0, 5, 16, -signal.SIGTERM, -signal.SIGKILL])
def test_what_we_asked_for_is_no_fault(status):
    end = explain_exit(status, asked=True)
    assert (end.cause, end.result) == ("PPP was ended on request", CallResult.ADMINISTRATIVE)


def test_a_fault_stays_one_even_when_we_asked():
    assert explain_exit(11, asked=True).cause == "the peer failed to authenticate itself"


def test_the_cdn_carries_the_cause():
    code = explain_exit(2).result_code()
    assert code.result == CallResult.GENERAL_ERROR
    assert code.error == ErrorCode.VENDOR_SPECIFIC
    assert code.message == "pppd refused its options"
    assert explain_exit(11).result_code().error == ErrorCode.NO_GENERAL_ERROR


@pytest.mark.parametrize(
    ("status", "line", "result", "cause"),
    [
        (10, "LCP: timeout sending Config-Requests", 11, (5, 0xC021, 0)),
        (10, "Could not determine remote IP address", 1, (19, 0x8021, 2)),
        (10, "Connect time 0.1 minutes.", 1, (18, 0, 0)),
        (11, "Peer alice failed CHAP authentication", 3, (16, 0xC223, 1)),
        (11, "PAP peer authentication failed for alice", 3, (16, 0xC023, 1)),
        (11, "peer refused to authenticate: terminating link", 3, (15, 0xC021, 1)),
        (16, "No response to 3 echo-requests", 1, (8, 0xC021, 0)),
        (16, "LCP: timeout sending Config-Requests", 11, (5, 0xC021, 0)),
        (16, "LCP terminated by peer", 1, (3, 0xC021, 1)),
        (19, "CHAP authentication failed: Access denied", 3, (16, 0xC223, 2)),
        (19, "PAP authentication failed", 3, (16, 0xC023, 2)),
        (19, "CHAP authentication timed out", 3, (13, 0xC223, 0)),
        (19, "No response to PAP authenticate-requests", 3, (13, 0xC023, 0)),
        (-9, "anything", 2, (0, 0, 0)),
    ],
)
def test_what_pppd_said_sharpens_its_status(status, line, result, cause):
    end = explain_exit(status, said=["Using interface ppp0", line])
    assert end.result == result
    code, protocol, direction, message = end.disconnect_cause()
    assert (code, protocol, direction) == cause
    assert message == end.cause


@pytest.mark.parametrize(
    ("end", "families", "protocol"),
    [
        (explain_exit(10), {"ipv4", "ipv6"}, IPCP),
        (explain_exit(10), {"ipv6"}, IPV6CP),
        (NOT_SET_UP, {"ipv4"}, IPCP),
        (NOT_SET_UP, {"ipv6"}, IPV6CP),
        (explain_exit(10, said=["IPV6CP: timeout sending Config-Requests"]), {"ipv4"}, IPV6CP),
        (explain_exit(16), {"ipv4"}, LCP),
        (explain_exit(-9), {"ipv4"}, 0),
    ],
)
def test_an_end_of_network_protocols_names_one(end, families, protocol):
    named = name_network_protocol(end, families)
    assert named.disconnect_cause() == (end.code, protocol, end.direction, end.cause)
