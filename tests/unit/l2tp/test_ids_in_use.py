"""Ids of the peer that another tunnel or session of its has, and ids of ours that have run out."""

from dataclasses import replace

import pytest

from l2tp.protocol.call_transitions import SessionState
from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import MAXIMUM_ID, CallResult, ErrorCode, StopResult
from l2tp.protocol.endpoint import CallParameters
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.events import DatagramDropped, DropReason, SessionClosed, TunnelClosed
from l2tp.protocol.messages import CDN, ICRP, OCRP, ControlMessage, StopCCN
from tests.support.memory_network import lac_config, lns_config
from tests.support.scripted_peer import PEER_SESSION_ID, ScriptedPeer, icrq, sccrp, sccrq

TAKEN = (CallResult.GENERAL_ERROR, ErrorCode.INVALID_SESSION_ID)
HIDDEN_FROM_US = bytes.fromhex("8008 0000 00ff 0000")


@pytest.mark.rfc2661("5.3-unique-session")
@pytest.mark.parametrize(
    ("way", "ask", "answer"),
    [
        (
            "call_established_as_lac",
            "place_call",
            ICRP(assigned_session_id=PEER_SESSION_ID),
        ),
        (
            "outgoing_established_as_lns",
            "request_call",
            OCRP(assigned_session_id=PEER_SESSION_ID),
        ),
    ],
)
def test_an_answer_with_the_id_of_another_session(
    way: str, ask: str, answer: ControlMessage
) -> None:
    peer = ScriptedPeer(lac_config())
    tunnel, first = getattr(peer, way)()
    peer.zlb()
    place = getattr(peer.endpoint, ask)
    second = place(tunnel, peer.now, CallParameters(called_number="5"))
    peer.collect()
    peer.zlb()
    peer.said.clear()
    peer.say(answer, session_id=second)
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert (cdn.result_code.result, cdn.result_code.error) == TAKEN
    assert (cdn.assigned_session_id, peer.headers[-1].session_id) == (second, 0)
    (closed,) = peer.of(SessionClosed)
    assert (closed.local_session_id, closed.peer_session_id) == (second, None)
    assert f"session id {PEER_SESSION_ID} is in use" in closed.cause
    # The first one still has its id: a CDN that names it by that ends it.
    assert state_of(peer, tunnel, first) is SessionState.ESTABLISHED
    peer.say(CDN(result_code=cdn.result_code, assigned_session_id=PEER_SESSION_ID))
    assert peer.of(SessionClosed)[-1].local_session_id == first


@pytest.mark.rfc2661("5.3-unique-session")
@pytest.mark.parametrize("rest", [b"", HIDDEN_FROM_US])
def test_a_request_with_the_id_of_another_session_does_not_end_that_one(rest: bytes) -> None:
    peer = ScriptedPeer(lns_config())
    tunnel, first = peer.call_established_as_lns()
    peer.zlb()
    peer.said.clear()
    peer.body(encode_message(icrq()) + rest)
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert peer.headers[-1].session_id == 0
    assert state_of(peer, tunnel, first) is SessionState.ESTABLISHED


def state_of(peer: ScriptedPeer, tunnel: int, session: int) -> SessionState:
    info = peer.endpoint.describe_session(tunnel, session)
    assert info is not None
    return info.state


@pytest.mark.rfc2661("5.3-unique-tunnel")
@pytest.mark.parametrize("rest", [b"", HIDDEN_FROM_US])
@pytest.mark.parametrize("way", ["established_by_endpoint", "established"])
def test_an_answer_with_the_id_of_another_tunnel(way: str, rest: bytes) -> None:
    peer = ScriptedPeer(lns_config())
    getattr(peer, way)()
    peer.ns = peer.nr = 0
    second = peer.wait_ctl_reply()
    peer.said.clear()
    peer.body(encode_message(sccrp()) + rest, tunnel_id=second)
    (stop,) = peer.said
    assert isinstance(stop, StopCCN)
    assert stop.result_code.result == StopResult.GENERAL_ERROR
    assert (stop.assigned_tunnel_id, peer.headers[-1].tunnel_id) == (second, 0)
    (closed,) = peer.of(TunnelClosed)
    assert closed.local_tunnel_id == second
    # Another id is welcome, and so is that one once its tunnel has ended.
    peer.ns = peer.nr = 0
    third = peer.wait_ctl_reply()
    peer.say(sccrp(assigned_tunnel_id=7), tunnel_id=third)
    assert len(peer.of(TunnelClosed)) == 1


def test_an_id_whose_tunnel_has_ended_is_free() -> None:
    peer = ScriptedPeer(lns_config())
    peer.endpoint.close_tunnel(peer.established_by_endpoint(), peer.now)
    peer.collect()
    peer.ns = peer.nr = 0
    second = peer.wait_ctl_reply()
    peer.say(sccrp(), tunnel_id=second)
    assert [event.local_tunnel_id for event in peer.of(TunnelClosed)] != [second]
    assert len(peer.of(TunnelClosed)) == 1


def test_a_request_when_every_session_id_is_taken_is_refused() -> None:
    peer = ScriptedPeer(lns_config())
    tunnel, session = peer.call_established_as_lns()
    sessions = peer.endpoint._tunnels.by_id[tunnel].calls.sessions
    one = sessions[session]
    sessions.update({number: one for number in range(1, MAXIMUM_ID) if len(sessions) < 65534})
    peer.zlb()
    peer.said.clear()
    peer.say(icrq(assigned_session_id=5))
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert cdn.result_code.result == CallResult.NO_FACILITIES_TEMPORARY
    with pytest.raises(LocalProtocolError, match="the limit"):
        peer.endpoint.place_call(tunnel, peer.now, CallParameters())


def test_a_request_when_every_tunnel_id_is_taken_is_dropped() -> None:
    peer = ScriptedPeer(lns_config(maximum_tunnels=MAXIMUM_ID))
    peer.endpoint.reconfigure(
        replace(
            peer.endpoint.config,
            limits=replace(peer.endpoint.config.limits, maximum_half_open_tunnels=0),
        )
    )
    tunnels = peer.endpoint._tunnels
    for number in range(1, MAXIMUM_ID + 1):
        tunnels.census.add(number, f"10.{number >> 8}.{number & 255}.1", half_open=False)
        tunnels.census.close(number)
    tunnels.by_id.update(dict.fromkeys(range(1, MAXIMUM_ID + 1)))  # type: ignore[arg-type]
    peer.say(sccrq(), tunnel_id=0)
    (dropped,) = peer.of(DatagramDropped)
    assert dropped.reason is DropReason.TOO_MANY_TUNNELS
