import signal

import pytest

from l2tp.constants import CallResult, ErrorCode
from l2tp.ppp.exits import explain_exit


@pytest.mark.parametrize(
    ("status", "result", "words"),
    [
        (2, CallResult.GENERAL_ERROR, "options"),
        (4, CallResult.GENERAL_ERROR, "modprobe ppp_generic"),
        (11, CallResult.ADMINISTRATIVE, "the peer failed to authenticate"),
        (15, CallResult.LOST_CARRIER, "echo"),
        (19, CallResult.ADMINISTRATIVE, "we failed to authenticate"),
        (99, CallResult.GENERAL_ERROR, "status 99"),
        (-9, CallResult.LOST_CARRIER, "signal 9"),
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
