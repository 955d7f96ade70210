"""A peer that asks for a tunnel with an id that one of its tunnels has, or had."""

import pytest

from l2tp.protocol.codec import encode_message
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.events import (
    DatagramDropped,
    DropReason,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
    TunnelRequested,
)
from l2tp.protocol.header import encode_control
from l2tp.protocol.messages import SCCCN, StopCCN
from tests.support.memory_network import lns_config
from tests.support.scripted_peer import PEER_TUNNEL_ID, ScriptedPeer, sccrq

REQUEST = encode_control(0, 0, 0, 0, encode_message(sccrq()))
STOP = StopCCN(result_code=ResultCode(1), assigned_tunnel_id=PEER_TUNNEL_ID)


def open_tunnel(way: str) -> ScriptedPeer:
    peer = ScriptedPeer(lns_config())
    getattr(peer, way)()
    peer.zlb()
    peer.names()
    return peer


@pytest.mark.rfc2661("5.5-restart", "5.5-unanswered")
@pytest.mark.parametrize("way", ["established", "established_by_endpoint"])
def test_a_peer_that_restarted_gets_its_tunnel_after_one_cycle(way: str) -> None:
    peer = open_tunnel(way)
    requests = len(peer.of(TunnelRequested))
    for _ in range(6):
        peer.raw(REQUEST)
        peer.pass_time(8)
    (closed,) = peer.of(TunnelClosed)
    assert "no answer" in closed.cause
    assert len(peer.of(TunnelRequested)) == requests + 1
    assert "HELLO" in peer.names()


@pytest.mark.rfc2661("5.8-duplicate")
def test_a_copy_of_the_request_that_comes_late_is_acknowledged_and_ends_nothing() -> None:
    peer = open_tunnel("established")
    for _ in range(3):
        peer.raw(REQUEST)
    assert peer.names() == ["HELLO"]
    assert peer.headers[-1].nr == peer.ns
    assert {event.reason for event in peer.of(DatagramDropped)} == {DropReason.DUPLICATE}
    peer.zlb()
    peer.pass_time(40)
    assert not peer.of(TunnelClosed)


@pytest.mark.rfc2661("5.7-again")
def test_after_its_stopccn_a_peer_may_ask_again_with_the_same_id() -> None:
    peer = open_tunnel("established")
    first = peer.tunnel_id
    peer.say(STOP)
    peer.ns = peer.nr = 0
    second = peer.wait_ctl_conn()
    assert second != first
    assert peer.names() == ["SCCRP"]
    # The old one's retention ends, and takes nothing of the new one with it.
    peer.say(SCCCN())
    peer.pass_time(40)
    assert [event.local_tunnel_id for event in peer.of(TunnelReleased)] == [first]
    assert len(peer.of(TunnelEstablished)) == 2
    peer.raw(REQUEST)
    assert peer.of(DatagramDropped)[-1].reason is DropReason.DUPLICATE


@pytest.mark.rfc2661("5.8-duplicate")
def test_a_refused_request_that_comes_again_is_not_another() -> None:
    peer = ScriptedPeer(lns_config(accepts_tunnels=False))
    peer.raw(REQUEST)
    peer.raw(REQUEST)
    peer.pass_time(0.9)
    assert peer.names() == ["StopCCN"]
    assert len(peer.endpoint._tunnels.by_id) == 1
    # Once the peer has acknowledged the StopCCN it knows, and asks anew.
    (tunnel,) = peer.endpoint._tunnels.by_id
    peer.raw(encode_control(tunnel, 0, 1, 1))
    peer.nr = 0
    peer.raw(REQUEST)
    assert peer.names() == ["StopCCN"]
    assert len(peer.endpoint._tunnels.by_id) == 2
