"""Two ends that open a tunnel to each other at the same moment (RFC 2661 §4.4.3)."""

from random import Random

import pytest

from l2tp.protocol.endpoint import CallParameters
from l2tp.protocol.events import (
    DatagramDropped,
    DropReason,
    SessionClosed,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
)
from l2tp.protocol.greeting import Tie, settle_tie
from l2tp.protocol.messages import SCCCN
from tests.support.memory_network import (
    LAC,
    LNS,
    MemoryNetwork,
    Node,
    lac_config,
    lns_config,
    lossy,
)
from tests.support.scripted_peer import PEER, ScriptedPeer, sccrq

HIGH, LOW = b"\xff" * 8, bytes(8)


@pytest.mark.rfc2661("4.4.3-tie")
@pytest.mark.parametrize(
    ("ours", "theirs", "tie"),
    [
        (None, None, Tie.NONE),
        (LOW, None, Tie.WON),
        (None, HIGH, Tie.LOST),
        (LOW, HIGH, Tie.WON),
        (HIGH, LOW, Tie.LOST),
        (LOW, LOW, Tie.DRAWN),
    ],
)
def test_the_lower_value_wins_and_any_value_wins_against_none(
    ours: bytes | None, theirs: bytes | None, tie: Tie
) -> None:
    assert settle_tie(ours, theirs) is tie


def crossed(*, ours: bool = True, **changes: object) -> tuple[ScriptedPeer, int]:
    """An endpoint whose SCCRQ, with a Tie Breaker or without, is on its way."""
    peer = ScriptedPeer(lns_config(single_tunnel=ours, **changes))
    tunnel = peer.wait_ctl_reply()
    peer.said.clear()
    # The peer's own SCCRQ opens a connection of its own, with numbers of its own.
    peer.nr = 0
    return peer, tunnel


@pytest.mark.rfc2661("4.4.3-tie")
def test_who_loses_discards_its_tunnel_in_silence_and_takes_the_peers() -> None:
    peer, tunnel = crossed()
    session = peer.endpoint.place_call(tunnel, peer.now, CallParameters())
    peer.say(sccrq(tie_breaker=LOW), tunnel_id=0)
    assert peer.names() == ["SCCRP"]
    (closed,) = peer.of(TunnelClosed)
    assert (closed.local_tunnel_id, closed.result_code) == (tunnel, None)
    assert closed.superseded_by == peer.tunnel_id != tunnel
    assert "§4.4.3" in closed.cause
    assert peer.of(TunnelReleased)[0].local_tunnel_id == tunnel
    assert peer.of(SessionClosed)[0].local_session_id == session
    peer.say(SCCCN())
    assert [event.local_tunnel_id for event in peer.of(TunnelEstablished)] == [peer.tunnel_id]


def test_who_wins_drops_the_peers_request_in_silence() -> None:
    peer, _ = crossed()
    peer.say(sccrq(tie_breaker=HIGH), tunnel_id=0)
    assert peer.names() == []
    assert not peer.of(TunnelClosed)
    (dropped,) = peer.of(DatagramDropped)
    assert (dropped.reason, dropped.section) == (DropReason.LOST_TIE, "§4.4.3")


@pytest.mark.rfc2661("4.4.3-tie-equal")
def test_equal_values_end_both() -> None:
    peer, tunnel = crossed()
    ours = peer.endpoint._tunnels.by_id[tunnel].tie_breaker
    peer.say(sccrq(tie_breaker=ours), tunnel_id=0)
    assert peer.names() == []
    (closed,) = peer.of(TunnelClosed)
    assert closed.superseded_by is None
    assert "equal" in closed.cause
    assert peer.of(DatagramDropped)[0].reason is DropReason.LOST_TIE
    peer.pass_time(100)
    assert peer.names() == []
    assert peer.endpoint.get_timer() is None


def test_a_value_wins_against_none() -> None:
    peer, tunnel = crossed(ours=False)
    peer.say(sccrq(tie_breaker=HIGH), tunnel_id=0)
    assert peer.of(TunnelClosed)[0].local_tunnel_id == tunnel
    peer, _ = crossed()
    peer.say(sccrq(), tunnel_id=0)
    assert peer.of(DatagramDropped)[0].reason is DropReason.LOST_TIE


def test_without_values_both_tunnels_are() -> None:
    peer, _ = crossed(ours=False)
    peer.say(sccrq(), tunnel_id=0)
    assert peer.names() == ["SCCRP"]
    assert not peer.of(TunnelClosed)


def test_only_requests_to_the_same_host_collide() -> None:
    peer, _ = crossed()
    other = type(PEER)("203.0.113.10", PEER.port)
    peer.say(sccrq(tie_breaker=LOW), tunnel_id=0, source=other)
    assert peer.names() == ["SCCRP"]
    assert not peer.of(TunnelClosed)


def test_an_answered_request_collides_no_more() -> None:
    peer = ScriptedPeer(lns_config(single_tunnel=True))
    peer.established_by_endpoint()
    peer.names()
    peer.ns = peer.nr = 0
    peer.say(sccrq(tie_breaker=LOW, assigned_tunnel_id=99), tunnel_id=0)
    assert peer.names() == ["SCCRP"]
    assert not peer.of(TunnelClosed)


def established(node: Node) -> set[int]:
    closed = {event.local_tunnel_id for event in node.of(TunnelClosed)}
    return {event.local_tunnel_id for event in node.of(TunnelEstablished)} - closed


@pytest.mark.parametrize("seed", range(20))
def test_two_endpoints_on_a_bad_network_end_with_one_tunnel(seed: int) -> None:
    mischief = lossy(Random(seed), loss=0.2, duplication=0.2, spread_s=0.5)
    network = MemoryNetwork(mischief)
    config = {"single_tunnel": True, "accepts_tunnels": True, "maximum_retransmissions": 50}
    lac = network.add(LAC, lac_config(**config), seed=seed)
    lns = network.add(LNS, lns_config(**config), seed=seed + 1000)
    lac.endpoint.open_tunnel(LNS, network.now)
    lns.endpoint.open_tunnel(LAC, network.now)
    network.run(2000)
    assert len(established(lac)) == len(established(lns)) == 1
