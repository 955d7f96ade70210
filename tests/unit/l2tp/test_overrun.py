"""A peer that asks for more than it acknowledges the answers of."""

from dataclasses import replace

import pytest

from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import ErrorCode, StopResult
from l2tp.protocol.endpoint import CallParameters
from l2tp.protocol.events import TunnelClosed
from l2tp.protocol.header import encode_control
from l2tp.protocol.limits import Limits
from l2tp.protocol.messages import CSUN, CSURQ, ICRP, StopCCN
from l2tp.protocol.values import ConnectSpeedUpdate
from tests.support.memory_network import lac_config, lns_config
from tests.support.scripted_peer import PEER_SESSION_ID, ScriptedPeer, icrq, sccrp

LIMITS = Limits(maximum_waiting_messages=50)


@pytest.mark.rfc2661("5.8-overrun")
def test_who_never_acknowledges_refusals_loses_its_tunnel() -> None:
    peer = ScriptedPeer(lns_config(accepts_calls=False, limits=LIMITS))
    tunnel = peer.established()
    transport = peer.endpoint._tunnels.by_id[tunnel].transport
    peer.zlb()
    acknowledged = peer.nr
    most = 0
    for number in range(1, 500):
        body = encode_message(icrq(assigned_session_id=number))
        peer.raw(encode_control(tunnel, 0, peer.ns, acknowledged, body))
        peer.ns += 1
        most = max(most, transport.waiting)
        if peer.of(TunnelClosed):
            break
    assert most == 50
    (closed,) = peer.of(TunnelClosed)
    assert (closed.result_code, closed.error_code) == (
        StopResult.GENERAL_ERROR,
        ErrorCode.INSUFFICIENT_RESOURCES,
    )
    assert "maximum_waiting_messages" in closed.cause
    # What has left already is still to be acknowledged, and the StopCCN.
    assert transport.waiting == 3
    peer.raw(encode_control(tunnel, 0, peer.ns, acknowledged + 1))
    assert isinstance(peer.said[-1], StopCCN)


def test_calls_of_our_own_may_wait_in_any_number() -> None:
    peer = ScriptedPeer(lac_config(limits=LIMITS))
    tunnel = peer.established_by_endpoint()
    for _ in range(300):
        peer.endpoint.place_call(tunnel, peer.now, CallParameters())
    peer.collect()
    peer.zlb()
    assert not peer.of(TunnelClosed)
    assert peer.endpoint._tunnels.by_id[tunnel].transport.waiting > 250


def test_no_limit_is_no_limit() -> None:
    limits = replace(LIMITS, maximum_waiting_messages=0)
    peer = ScriptedPeer(lns_config(accepts_calls=False, limits=limits))
    tunnel = peer.established()
    for number in range(1, 200):
        body = encode_message(icrq(assigned_session_id=number))
        peer.raw(encode_control(tunnel, 0, peer.ns, 1, body))
        peer.ns += 1
    assert not peer.of(TunnelClosed)


def test_a_request_for_speeds_gets_one_answer_however_often_it_names_a_call() -> None:
    peer = ScriptedPeer(lac_config())
    tunnel = peer.wait_ctl_reply()
    peer.say(sccrp(receive_window_size=64))
    sessions = []
    for number in range(3):
        call = CallParameters(connect_speed_update_enable=True, tx_connect_speed_bps=number)
        session = peer.endpoint.place_call(tunnel, peer.now, call)
        peer.collect()
        peer.say(ICRP(assigned_session_id=PEER_SESSION_ID + number), session_id=session)
        sessions.append(session)
    peer.zlb()
    peer.said.clear()
    asked = tuple(ConnectSpeedUpdate(session, 0, 0) for session in [*sessions, 9] * 800)
    peer.say(CSURQ(connect_speed_update=asked))
    assert peer.said == [
        CSUN(
            connect_speed_update=tuple(
                ConnectSpeedUpdate(PEER_SESSION_ID + number, number, number) for number in range(3)
            )
        )
    ]
