import errno

import pytest

from l2tp.protocol.constants import CallResult, ErrorCode, StopResult
from l2tp.protocol.errors import KernelError, LocalProtocolError, RemoteProtocolError, ResultCode


@pytest.mark.parametrize(
    ("result", "of_call", "text"),
    [
        (
            ResultCode(StopResult.SHUTTING_DOWN),
            False,
            "result 6: requester is being shut down",
        ),
        (ResultCode(CallResult.INVALID_DESTINATION), True, "result 6: invalid destination"),
        (
            ResultCode(2, ErrorCode.UNKNOWN_MANDATORY_AVP, "AVP 99"),
            False,
            "result 2: general error, error 8: an unknown AVP with the M bit set (AVP 99)",
        ),
        (
            ResultCode(StopResult.VERSION_NOT_SUPPORTED, 0x0100),
            False,
            "result 5: protocol version of the requester is not supported,"
            " error 256: highest version supported",
        ),
        (ResultCode(99, 99), True, "result 99: unknown result code"),
        (ResultCode(2, 99), True, "result 2: general error, error 99: unknown error code"),
    ],
)
def test_results_in_words(result: ResultCode, of_call: bool, text: str) -> None:
    assert result.describe(of_call=of_call).startswith(text)


def test_a_protocol_error_says_what_the_peer_is_told() -> None:
    error = RemoteProtocolError("too short", section="§4.1", error=ErrorCode.LENGTH_IS_WRONG)
    assert str(error) == "too short (RFC 2661 §4.1)"
    assert error.result == ResultCode(2, 2, "too short")
    assert not isinstance(error, LocalProtocolError)


def test_a_kernel_error_names_operation_and_cure() -> None:
    error = KernelError("open the tunnel", errno.ENOENT, cure="modprobe l2tp_ppp")
    assert str(error) == ("open the tunnel: No such file or directory (errno 2). modprobe l2tp_ppp")
