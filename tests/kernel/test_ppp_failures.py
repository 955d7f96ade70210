"""How PPP on a real session fails, and what the CDN on the link says of it (RFC 3145)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import pytest

from l2tp.ppp.exits import CHAP, IPCP, LCP, PAP
from l2tp.protocol.constants import CallResult, ErrorCode
from l2tp.protocol.extensions import DisconnectCode, DisconnectDirection
from lab.instruments.capture import capture
from tests.kernel.daemon_support import Network, until
from tests.kernel.hang_ups import HangUp, hang_ups, is_seen, keep_from_hanging_up
from tests.kernel.ppp_support import network, session, wait_for

pytestmark = [pytest.mark.kernel, pytest.mark.long]

OTHER = {"lac": "lns", "lns": "lac"}
AT_ALL, AT_PEER, AT_LOCAL = DisconnectDirection
Action = Callable[[Network, str], None]


def nothing(net: Network, sender: str) -> None:
    pass


def wrong_secret(net: Network, sender: str) -> None:
    secrets = net.folder / "lac" / "secrets.toml"
    secrets.write_text(secrets.read_text().replace("wonder", "blunder"))


def deaf_lac(net: Network, sender: str) -> None:
    """What the LNS says of PPP gets lost; only data has its first bit clear."""
    rule = "udp sport 1701 @th,64,1 0 drop"
    chain = f"chain in {{ type filter hook input priority 0; {rule}; }}"
    net.run("ip", "netns", "exec", net.names["lac"], "nft", f"table inet deaf {{ {chain}; }}")


def signal_pppd(net: Network, role: str, number: signal.Signals) -> None:
    net.wait_ready("lns", "lac")
    os.kill(session(net, role)["ppp"]["pid"], number)


def kill_pppd(net: Network, sender: str) -> None:
    signal_pppd(net, sender, signal.SIGKILL)


def stop_pppd_of_lac(net: Network, sender: str) -> None:
    signal_pppd(net, "lac", signal.SIGSTOP)


class Failure(NamedTuple):
    """A failure: by the end that says so, what its CDN says, and words that its log has of it.

    ``before`` and ``after`` make it happen, before the daemons start and after. ``is_news`` says
    that the other end learns of it by the CDN alone.
    """

    said: dict[str, tuple[HangUp, str]]
    lac: str = ""
    lns: str = ""
    before: Action = nothing
    after: Action = nothing
    is_news: bool = False


def end(
    result: CallResult,
    code: DisconnectCode,
    protocol: int,
    direction: DisconnectDirection = AT_ALL,
    error: ErrorCode = ErrorCode.NO_GENERAL_ERROR,
) -> HangUp:
    return HangUp(result, error, code, protocol, direction)


_C, _R = DisconnectCode, CallResult
PAP_ONLY = 'authentication = "pap"'


def refused(protocol: int) -> dict[str, tuple[HangUp, str]]:
    failed = _R.ADMINISTRATIVE, _C.AUTHENTICATION_FAILED, protocol
    return {
        "lns": (end(*failed, AT_PEER), "the peer failed to authenticate itself"),
        "lac": (end(*failed, AT_LOCAL), "we failed to authenticate ourselves"),
    }


LIMIT = end(_R.ADMINISTRATIVE, _C.NORMAL, LCP, AT_LOCAL)
NO_LCP = (end(_R.NO_FRAMING_DETECTED, _C.NO_LCP_PACKETS, LCP), "no LCP packet came")
NO_END = (end(_R.NO_FRAMING_DETECTED, _C.LCP_TIMEOUT, LCP), "LCP did not converge")
DEAD = (
    end(_R.GENERAL_ERROR, _C.NO_INFORMATION, 0, error=ErrorCode.VENDOR_SPECIFIC),
    "pppd was ended by signal 9",
)
NO_ECHO = (end(_R.LOST_CARRIER, _C.ECHO_TIMEOUT, LCP), "stopped answering LCP echo requests")
METHOD = end(_R.ADMINISTRATIVE, _C.PROTOCOL_UNACCEPTABLE, LCP, AT_PEER)

FAILURES = {
    "wrong secret, PAP": Failure(refused(PAP), PAP_ONLY, PAP_ONLY, before=wrong_secret),
    "wrong secret, CHAP": Failure(refused(CHAP), before=wrong_secret),
    "methods disagree": Failure(
        {"lns": (METHOD, "the peer refused to authenticate itself")},
        lac=PAP_ONLY,
    ),
    "LAC sends no LCP": Failure(
        {"lns": NO_LCP}, 'options = ["silent"]', "setup_timeout_s = 5.0", is_news=True
    ),
    "LNS sends no LCP": Failure(
        {"lac": NO_LCP}, 'options = ["silent"]\nsetup_timeout_s = 5.0', is_news=True
    ),
    "LCP does not converge": Failure({"lns": NO_END, "lac": NO_END}, before=deaf_lac),
    "pppd dies": Failure({"lns": DEAD, "lac": DEAD}, after=kill_pppd, is_news=True),
    "session timeout": Failure({"lns": (LIMIT, "connect time limit")}, lns="session_timeout_s = 2"),
    "idle timeout": Failure({"lns": (LIMIT, "idle too long")}, lns="idle_timeout_s = 2"),
    "no echo": Failure(
        {"lns": NO_ECHO},
        lac="echo_interval_s = 0",
        lns="echo_interval_s = 1\necho_failures = 3",
        after=stop_pppd_of_lac,
        is_news=True,
    ),
}


def let_go(net: Network, role: str, count: int = 0) -> None:
    """Wait until so many sessions are left in the kernel, each with its interface."""

    def settled() -> bool:
        left = net.left(role)
        interfaces = [line for line in left["interfaces"] if ": ppp" in line]
        return len(left["sessions"]) == len(interfaces) == count

    until(settled, f"{count} sessions and as many ppp interfaces are left at the {role}")


@pytest.mark.parametrize(
    ("name", "sender"), [(name, role) for name, one in FAILURES.items() for role in one.said]
)
def test_a_failure_ends_in_a_cdn_that_says_which(tmp_path, name, sender):
    failure = FAILURES[name]
    expected, words = failure.said[sender]
    with network(tmp_path, failure.lac, failure.lns) as net:
        # Often both ends notice; only one of them gets to say so.
        keep_from_hanging_up(net, OTHER[sender])
        failure.before(net, sender)
        with capture(net.names["lac"], "up0", octets=512) as captured:
            net.start("lns", "lac")
            failure.after(net, sender)
            closed = wait_for(net, sender, "SessionClosed")
            until(lambda: is_seen(captured.file), "a CDN on the link")
            captured.end()
            assert hang_ups(captured.file) == {(sender, expected)}
        assert closed["result_code"] == expected.result
        assert words in closed["cause"]
        assert words in wait_for(net, sender, "PppExited")["cause"]
        if failure.is_news:
            heard = wait_for(net, OTHER[sender], "SessionClosed")
            assert heard["result_code"] == expected.result
            assert f"PPP cause {expected.code}:" in heard["cause"] and words in heard["cause"]
        for role in OTHER:
            let_go(net, role)


def test_a_pool_without_an_address_refuses_the_call(tmp_path):
    with network(tmp_path) as net:
        net.edit("lns", "10.64.0.0/24", "10.64.0.0/30")
        net.start("lns", "lac")
        net.wait_ready("lns", "lac")
        with capture(net.names["lac"], "up0", octets=512) as captured:
            with net.client("lac") as client:
                client.call(user="alice", routes=[], addresses=[])
            closed = wait_for(net, "lac", "SessionClosed")
            until(lambda: is_seen(captured.file), "a CDN on the link")
            captured.end()
            why = _R.NO_FACILITIES_TEMPORARY, _C.NO_COMMON_ADDRESS, IPCP, AT_LOCAL
            expected = end(*why, error=ErrorCode.INSUFFICIENT_RESOURCES)
            assert hang_ups(captured.file) == {("lns", expected)}
        # What the other end reads in a CDN goes into its own log.
        assert closed["result_code"] == expected.result
        assert "no free address" in closed["cause"]
        assert "PPP cause 19:" in closed["cause"]
        for role in OTHER:
            let_go(net, role, count=1)
        net.ping("lac", "203.0.113.1")
