"""A StopCCN or CDN that cannot be read ends what it means all the same, and is not answered."""

import pytest

from l2tp.protocol.events import DatagramDropped, DropReason, SessionClosed, TunnelClosed
from l2tp.protocol.messages import CDN, StopCCN
from tests.support.memory_network import lns_config
from tests.support.scripted_peer import PEER_SESSION_ID, ScriptedPeer

STOPCCN, CDN_TYPE = "8008 0000 0000 0004", "8008 0000 0000 000e"
SHUTTING_DOWN, BUSY = "8008 0000 0001 0006", "8008 0000 0001 0008"


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (SHUTTING_DOWN, 6),
        (f"{SHUTTING_DOWN} 8008 0000 0009 0000", 6),
        (f"{SHUTTING_DOWN} 8007 0000 0009 01", 6),
        (f"{SHUTTING_DOWN} 8008 0000 00ff 0000", 6),
        ("8008 0000 0009 1092", 1),
        ("", 1),
        ("8003", 1),
    ],
)
@pytest.mark.parametrize("way", ["wait_ctl_conn", "established", "established_by_endpoint"])
def test_a_stopccn_without_what_it_needs(way: str, rest: str, code: int) -> None:
    peer = ScriptedPeer(lns_config())
    getattr(peer, way)()
    peer.said.clear()
    peer.body(bytes.fromhex(STOPCCN + rest))
    assert peer.names() == []
    (closed,) = peer.of(TunnelClosed)
    assert (closed.result_code, closed.by_peer) == (code, True)
    assert "StopCCN" in closed.cause
    assert "(RFC 2661 §" in closed.cause
    peer.pass_time(100)
    assert StopCCN not in map(type, peer.said)


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (BUSY, 8),
        (f"{BUSY} 8008 0000 000e 0000", 8),
        (f"{BUSY} 8008 0000 00ff 0000", 8),
        (f"8008 0000 000e {PEER_SESSION_ID:04x}", None),
        ("8003", None),
    ],
)
@pytest.mark.parametrize("way", ["call_wait_connect", "call_established_as_lns"])
def test_a_cdn_without_what_it_needs(way: str, rest: str, code: int | None) -> None:
    peer = ScriptedPeer(lns_config())
    _, session = getattr(peer, way)()
    peer.said.clear()
    peer.body(bytes.fromhex(CDN_TYPE + rest), session_id=session)
    assert CDN not in map(type, peer.said)
    (closed,) = peer.of(SessionClosed)
    assert (closed.result_code, closed.by_peer) == (code, True)
    assert "invalid CDN" in closed.cause
    assert not peer.of(TunnelClosed)


def test_an_early_cdn_is_known_by_its_assigned_id_even_if_invalid() -> None:
    peer = ScriptedPeer(lns_config())
    peer.call_wait_answer()
    peer.body(bytes.fromhex(f"{CDN_TYPE} 8008 0000 000e {PEER_SESSION_ID:04x}"), session_id=0)
    assert peer.of(SessionClosed)[0].by_peer


@pytest.mark.parametrize("rest", ["", "8008 0000 000e 0063"])
def test_a_cdn_of_nobody_is_dropped_with_what_is_wrong(rest: str) -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.body(bytes.fromhex(CDN_TYPE + rest), session_id=0)
    (dropped,) = peer.of(DatagramDropped)
    assert dropped.reason is DropReason.UNKNOWN_SESSION
    assert "missing" in dropped.cause


def test_a_request_that_names_nobody_cannot_be_refused() -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.said.clear()
    zero = "8008 0000 0000 000a 8008 0000 000e 0000 800a 0000 000f 00000001"
    peer.body(bytes.fromhex(zero), session_id=0)
    assert peer.names() == []
    (dropped,) = peer.of(DatagramDropped)
    assert "nobody to answer" in dropped.cause
    assert "Assigned Session ID" in dropped.cause
