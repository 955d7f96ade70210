"""What is said of an established call's line and of PPP's end, in both directions."""

from dataclasses import replace

import pytest

from l2tp.protocol.access_line import AccessLine
from l2tp.protocol.endpoint import CallParameters
from l2tp.protocol.errors import HANG_UP, LocalProtocolError
from l2tp.protocol.events import (
    CallErrorsReported,
    CallRequested,
    ConnectSpeedChanged,
    LinkInfoReceived,
    MessageSent,
    SessionClosed,
    SessionEstablished,
)
from l2tp.protocol.extensions import DisconnectCode, DisconnectDirection
from l2tp.protocol.values import AccessLoopEncapsulation, Accm, CallErrors, DisconnectCause
from tests.support.memory_network import LAC, LNS, MemoryNetwork, Node, lac_config, lns_config

ERRORS = CallErrors(1, 2, 3, 4, 5, 6)
MAPS = Accm(0xFFFFFFFF, 0x000A0000)
LINE = AccessLine(
    agent_circuit_id="port 7",
    actual_data_rate_downstream=50_000_000,
    access_loop_encapsulation=AccessLoopEncapsulation(1, 1, 0),
)


class Call:
    """An established incoming call between two endpoints."""

    def __init__(self, **changes: object) -> None:
        self.network = MemoryNetwork()
        self.lac: Node = self.network.add(LAC, lac_config(), 1)
        self.lns: Node = self.network.add(LNS, lns_config(), 2)
        self.lns.on_event = self._accept
        tunnel = self.lac.endpoint.open_tunnel(LNS, self.network.now)
        call = replace(CallParameters(tx_connect_speed_bps=1000), **changes)  # type: ignore[arg-type]
        self.at_lac = tunnel, self.lac.endpoint.place_call(tunnel, self.network.now, call)
        self.network.run(1)
        (up,) = self.lns.of(SessionEstablished)
        self.at_lns = up.local_tunnel_id, up.local_session_id

    def _accept(self, event: object, now: float) -> None:
        if isinstance(event, CallRequested):
            self.lns.endpoint.accept_call(event.local_tunnel_id, event.local_session_id, now)


@pytest.mark.rfc2661("6.13-wen")
def test_wen_is_recorded_at_the_lns_and_reported() -> None:
    call = Call()
    call.lac.endpoint.report_errors(*call.at_lac, call.network.now, ERRORS)
    call.network.run(1)
    (reported,) = call.lns.of(CallErrorsReported)
    assert reported.call_errors == ERRORS
    for node, at in ((call.lns, call.at_lns), (call.lac, call.at_lac)):
        session = node.endpoint.describe_session(*at)
        assert session is not None
        assert session.call_errors == ERRORS
    assert not call.lac.of(CallErrorsReported)


@pytest.mark.rfc2661("6.14-sli")
def test_sli_is_recorded_at_the_lac_and_reported() -> None:
    call = Call()
    call.lns.endpoint.set_link_info(*call.at_lns, call.network.now, MAPS)
    call.network.run(1)
    (reported,) = call.lac.of(LinkInfoReceived)
    assert reported.accm == MAPS
    session = call.lac.endpoint.describe_session(*call.at_lac)
    assert session is not None
    assert session.accm == MAPS


def test_each_end_sends_only_what_its_role_may() -> None:
    call = Call()
    with pytest.raises(LocalProtocolError, match="line errors"):
        call.lns.endpoint.report_errors(*call.at_lns, call.network.now, ERRORS)
    with pytest.raises(LocalProtocolError, match="link information"):
        call.lac.endpoint.set_link_info(*call.at_lac, call.network.now, MAPS)
    with pytest.raises(LocalProtocolError, match="cannot hold"):
        call.lns.endpoint.set_link_info(*call.at_lns, call.network.now, Accm(-1, 0))
    assert call.lac.endpoint.describe_session(call.at_lac[0], 0) is None
    assert call.lac.endpoint.describe_session(0, 0) is None


@pytest.mark.parametrize("side", ["lac", "lns"])
def test_why_ppp_ended_goes_with_the_cdn(side: str) -> None:
    call = Call()
    here, at = (call.lac, call.at_lac) if side == "lac" else (call.lns, call.at_lns)
    there = call.lns if side == "lac" else call.lac
    cause = DisconnectCause(
        DisconnectCode.AUTHENTICATION_FAILED, 0xC223, DisconnectDirection.AT_PEER, "alice"
    )
    here.endpoint.hang_up(*at, call.network.now, HANG_UP, disconnect_cause=cause)
    call.network.run(1)
    for node in (here, there):
        assert node.of(SessionClosed)[0].disconnect_cause == cause
    assert "PPP cause 16: authentication failed (alice)" in there.of(SessionClosed)[0].cause


def test_the_access_line_reaches_the_lns() -> None:
    call = Call(access_line=LINE)
    assert call.lns.of(CallRequested)[0].call.access_line == LINE


def test_new_speeds_reach_the_lns() -> None:
    call = Call(connect_speed_update_enable=True)
    call.lac.endpoint.update_connect_speed(
        *call.at_lac, call.network.now, tx_connect_speed_bps=5, rx_connect_speed_bps=6
    )
    call.network.run(1)
    (changed,) = call.lns.of(ConnectSpeedChanged)
    assert (changed.tx_connect_speed_bps, changed.rx_connect_speed_bps) == (5, 6)
    assert changed.local_session_id == call.at_lns[1]
    session = call.lns.endpoint.describe_session(*call.at_lns)
    assert session is not None
    assert (session.call.tx_connect_speed_bps, session.call.rx_connect_speed_bps) == (5, 6)


def test_speeds_are_told_when_asked_for() -> None:
    call = Call(connect_speed_update_enable=True)
    call.lns.endpoint.request_connect_speeds(call.at_lns[0], [call.at_lns[1]], call.network.now)
    call.network.run(1)
    (changed,) = call.lns.of(ConnectSpeedChanged)
    assert (changed.tx_connect_speed_bps, changed.rx_connect_speed_bps) == (1000, 1000)


def test_speeds_are_told_only_of_calls_that_promised_it() -> None:
    call = Call()
    with pytest.raises(LocalProtocolError, match="connect_speed_update_enable"):
        call.lac.endpoint.update_connect_speed(
            *call.at_lac, call.network.now, tx_connect_speed_bps=5, rx_connect_speed_bps=6
        )
    call.lns.endpoint.request_connect_speeds(call.at_lns[0], [call.at_lns[1]], call.network.now)
    call.network.run(1)
    assert "CSUN" not in [event.name for event in call.lac.of(MessageSent)]
    assert not call.lns.of(ConnectSpeedChanged)
