"""Every session state × everything a peer may send, and what then goes out."""

import pytest

from l2tp.protocol.constants import CallResult
from l2tp.protocol.endpoint import CallParameters
from l2tp.protocol.errors import LocalProtocolError, ResultCode
from l2tp.protocol.events import (
    CallAnswered,
    CallRequested,
    DatagramDropped,
    DropReason,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
)
from l2tp.protocol.messages import (
    CDN,
    HELLO,
    ICCN,
    ICRP,
    ICRQ,
    OCCN,
    OCRP,
    SLI,
    WEN,
    ControlMessage,
)
from l2tp.protocol.values import Accm, CallErrors
from tests.support.memory_network import lac_config, lns_config
from tests.support.scripted_peer import PEER_SESSION_ID, ScriptedPeer, iccn, icrq, ocrq

MESSAGES: dict[str, ControlMessage] = {
    "ICRQ": icrq(),
    "ICRP": ICRP(assigned_session_id=PEER_SESSION_ID),
    "ICCN": iccn(),
    "CDN": CDN(result_code=ResultCode(1), assigned_session_id=PEER_SESSION_ID),
    "OCRQ": ocrq(),
    "OCRP": OCRP(assigned_session_id=PEER_SESSION_ID),
    "OCCN": OCCN(framing_type=1, tx_connect_speed=1),
    "WEN": WEN(call_errors=CallErrors(0, 0, 0, 0, 0, 0)),
    "SLI": SLI(accm=Accm(0, 0)),
}
IGNORED = ("WEN", "SLI")
WAYS = {
    "call_wait_reply": "wait-reply",
    "call_established_as_lac": "established",
    "call_wait_answer": "wait-answer",
    "call_wait_connect": "wait-connect",
    "call_established_as_lns": "established",
    "outgoing_wait_answer": "wait-answer",
    "outgoing_wait_cs_answer": "wait-cs-answer",
    "outgoing_established_as_lac": "established",
    "outgoing_wait_reply": "wait-reply",
    "outgoing_wait_connect": "wait-connect",
    "outgoing_established_as_lns": "established",
}
OPENS = {
    ("call_wait_reply", "ICRP"): ["ICCN"],
    ("call_wait_connect", "ICCN"): [],
    ("outgoing_wait_connect", "OCCN"): [],
}
GOES_ON = {("outgoing_wait_reply", "OCRP")}
# RFC 2661 §7.4.1: an ICCN to a LAC that waits for the ICRP is cleaned up after, without a CDN.
SILENT_ENDS = {("call_wait_reply", "ICCN")}


def enter(way: str, **changes: object) -> tuple[ScriptedPeer, int, int]:
    is_lac = way in ("call_wait_reply", "call_established_as_lac")
    config = lac_config if is_lac else lns_config
    peer = ScriptedPeer(config(accepts_outgoing_calls=True, **changes))
    tunnel, session = getattr(peer, way)()
    peer.names()
    peer.events.clear()
    return peer, tunnel, session


@pytest.mark.rfc2661("7.4-table", "7.5-table")
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("name", list(MESSAGES))
def test_every_state_and_message(way: str, name: str) -> None:
    peer, tunnel, session = enter(way)
    peer.say(MESSAGES[name], session_id=session)
    said, closed = list(peer.said), peer.of(SessionClosed)
    names = [message.name for message in said]
    if (way, name) in OPENS:
        assert names == OPENS[way, name]
        assert len(peer.of(SessionEstablished)) == 1
    elif name in IGNORED or (way, name) in GOES_ON:
        assert names == []
        assert not closed
    elif name == "CDN":
        assert names == []
        assert closed[0].by_peer
        assert closed[0].result_code == CallResult.LOST_CARRIER
        assert "loss of carrier" in closed[0].cause
    elif (way, name) in SILENT_ENDS:
        assert names == []
        assert len(closed) == 1
    else:
        (cdn,) = said
        assert isinstance(cdn, CDN)
        assert cdn.result_code.result == CallResult.GENERAL_ERROR
        assert cdn.assigned_session_id == session
        assert f"{name} in state {WAYS[way]}" in closed[0].cause
    # A mistake in one session is not the tunnel's end.
    assert not peer.of(TunnelClosed)
    assert peer.endpoint.place_call(tunnel, peer.now, CallParameters()) != 0


@pytest.mark.rfc2661("5.6-cdn", "4.4.4-session-id")
@pytest.mark.parametrize("way", list(WAYS))
def test_hanging_up_sends_a_cdn_to_the_peers_id(way: str) -> None:
    peer, tunnel, session = enter(way)
    peer.zlb()
    peer.endpoint.hang_up(tunnel, session, peer.now, ResultCode(3, 0, "bye"))
    peer.collect()
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert cdn == CDN(result_code=ResultCode(3, 0, "bye"), assigned_session_id=session)
    known = 0 if WAYS[way] == "wait-reply" else PEER_SESSION_ID
    assert peer.headers[-1].session_id == known
    (closed,) = peer.of(SessionClosed)
    assert (closed.result_code, closed.message, closed.by_peer) == (3, "bye", False)
    # Again is no mistake, and says nothing.
    peer.endpoint.hang_up(tunnel, session, peer.now)
    peer.collect()
    assert len(peer.said) == 1


@pytest.mark.rfc2661("4.1-mandatory-session", "7.1-clear")
@pytest.mark.parametrize("way", list(WAYS))
def test_an_invalid_message_ends_the_session_only(way: str) -> None:
    peer, _, session = enter(way)
    peer.body(bytes.fromhex("8008 0000 0000 000c 8006 0000 00ff"), session_id=session)
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert (cdn.result_code.result, cdn.result_code.error) == (2, 8)
    assert "AVP 255 of vendor 0 is unknown" in peer.of(SessionClosed)[0].cause
    assert not peer.of(TunnelClosed)


@pytest.mark.rfc2661("7.3-set-up-time")
@pytest.mark.parametrize("way", [way for way in WAYS if WAYS[way] != "established"])
def test_a_call_that_is_not_set_up_in_time_ends(way: str) -> None:
    peer, _, _ = enter(way, session_setup_timeout_s=7)
    peer.pass_time(6.5)
    assert not peer.of(SessionClosed)
    peer.zlb()
    peer.pass_time(1)
    (closed,) = peer.of(SessionClosed)
    assert closed.result_code == CallResult.NOT_ESTABLISHED_IN_TIME
    assert f"not set up in 7 s: still {WAYS[way]}" in closed.cause
    assert "CDN" in peer.names()


@pytest.mark.parametrize("way", [way for way in WAYS if WAYS[way] == "established"])
def test_an_established_call_has_no_deadline(way: str) -> None:
    peer, _, _ = enter(way, session_setup_timeout_s=7, hello_interval_s=0)
    peer.zlb()
    peer.pass_time(1000)
    assert not peer.of(SessionClosed)


@pytest.mark.rfc2661("4.4.5-carried")
def test_what_the_lac_says_reaches_the_lns() -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.say(icrq(called_number="5551", calling_number="5552", sub_address="7", bearer_type=2))
    (requested,) = peer.of(CallRequested)
    assert (requested.peer_session_id, requested.call_serial_number) == (PEER_SESSION_ID, 9)
    assert requested.call.called_number == "5551"
    session = requested.local_session_id
    peer.endpoint.accept_call(requested.local_tunnel_id, session, peer.now)
    peer.collect()
    peer.say(
        ICCN(
            framing_type=2,
            tx_connect_speed=64_000,
            rx_connect_speed=32_000,
            sequencing_required=True,
            proxy_authen_name=b"alice",
        ),
        session_id=session,
    )
    (established,) = peer.of(SessionEstablished)
    assert established.lns_mode
    assert established.call == CallParameters(
        call_serial_number=9,
        bearer_type=2,
        called_number="5551",
        calling_number="5552",
        sub_address="7",
        framing_type=2,
        tx_connect_speed_bps=64_000,
        rx_connect_speed_bps=32_000,
        sequencing_required=True,
        proxy_authen_name=b"alice",
    )


def test_what_the_lac_is_told_reaches_the_wire() -> None:
    peer = ScriptedPeer(lac_config())
    tunnel = peer.established_by_endpoint()
    call = CallParameters(
        call_serial_number=77, called_number="1", physical_channel_id=3, private_group_id=b"g"
    )
    session = peer.endpoint.place_call(tunnel, peer.now, call)
    peer.collect()
    assert peer.said[-1] == ICRQ(
        assigned_session_id=session,
        call_serial_number=77,
        called_number="1",
        physical_channel_id=3,
    )
    peer.say(ICRP(assigned_session_id=PEER_SESSION_ID), session_id=session)
    assert peer.said[-1] == ICCN(
        framing_type=1, tx_connect_speed=1_000_000_000, private_group_id=b"g"
    )
    assert peer.headers[-1].session_id == PEER_SESSION_ID
    kinds = [type(event).__name__ for event in peer.events]
    assert kinds.index("CallAnswered") < kinds.index("SessionEstablished")
    assert peer.of(CallAnswered)[0].call_serial_number == 77
    assert not peer.of(SessionEstablished)[0].lns_mode


@pytest.mark.rfc2661("4.4.4-serial")
def test_serial_numbers_are_chosen_and_differ() -> None:
    peer = ScriptedPeer(lac_config())
    tunnel = peer.established_by_endpoint()
    for _ in range(3):
        peer.endpoint.place_call(tunnel, peer.now, CallParameters())
    peer.collect()
    peer.zlb()
    serials = {m.call_serial_number for m in peer.said if isinstance(m, ICRQ)}
    assert len(serials) == 3


@pytest.mark.rfc2661("4.4.4-cdn-id")
def test_a_cdn_before_the_peer_knows_our_id_finds_its_session() -> None:
    peer, _, session = enter("call_wait_answer")
    peer.say(CDN(result_code=ResultCode(1), assigned_session_id=PEER_SESSION_ID))
    assert peer.of(SessionClosed)[0].local_session_id == session
    # The id is free again.
    peer.say(icrq())
    assert len(peer.of(CallRequested)) == 1


@pytest.mark.parametrize(
    ("changes", "message", "result"),
    [
        ({"accepts_calls": False}, icrq(), CallResult.NO_FACILITIES_PERMANENT),
        ({"maximum_sessions_per_tunnel": 1}, icrq(assigned_session_id=1), 4),
        ({}, icrq(), CallResult.GENERAL_ERROR),
    ],
)
def test_calls_are_refused(changes: dict[str, object], message: ICRQ, result: int) -> None:
    peer = ScriptedPeer(lns_config(**changes))
    peer.established()
    if changes.get("accepts_calls", True):
        peer.say(icrq())
    peer.events.clear()
    peer.names()
    peer.say(message)
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert cdn.result_code.result == result
    # One whose id another session has is not named by it.
    named = message.assigned_session_id if changes else 0
    assert peer.headers[-1].session_id == named
    assert not peer.of(CallRequested)


def test_an_icrq_that_cannot_be_read_is_refused_by_name() -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.names()
    peer.body(bytes.fromhex("8008 0000 0000 000a 8008 0000 000e 0011"))
    assert peer.headers[-1].session_id == 0x11
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert "Call Serial Number missing" in cdn.result_code.message


def test_a_message_for_a_session_that_is_gone_is_counted() -> None:
    peer, tunnel, session = enter("call_wait_connect")
    peer.endpoint.hang_up(tunnel, session, peer.now)
    peer.collect()
    peer.say(iccn(), session_id=session)
    (dropped,) = peer.of(DatagramDropped)
    assert dropped.reason is DropReason.UNKNOWN_SESSION
    assert peer.endpoint.dropped[DropReason.UNKNOWN_SESSION] == 1
    assert not peer.of(TunnelClosed)


def test_rejecting_a_call() -> None:
    peer, tunnel, session = enter("call_wait_answer")
    peer.endpoint.reject_call(tunnel, session, peer.now, ResultCode(4))
    peer.collect()
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert cdn.result_code == ResultCode(4)


def test_local_mistakes_are_local_errors() -> None:
    peer, tunnel, session = enter("call_wait_connect")
    endpoint, now = peer.endpoint, peer.now
    for mistake in (
        lambda: endpoint.accept_call(tunnel, session, now),
        lambda: endpoint.reject_call(tunnel, session, now, ResultCode(4)),
        lambda: endpoint.accept_call(tunnel, session + 1, now),
        lambda: endpoint.accept_call(tunnel + 1, session, now),
        lambda: endpoint.place_call(tunnel + 1, now, CallParameters()),
        lambda: endpoint.place_call(tunnel, now, CallParameters(called_number="5" * 2000)),
        lambda: endpoint.place_call(tunnel, now, CallParameters(tx_connect_speed_bps=1 << 32)),
    ):
        with pytest.raises(LocalProtocolError):
            mistake()
    peer.say(HELLO())
    assert not peer.of(SessionClosed)


def test_the_limit_of_sessions_holds_for_our_calls_too() -> None:
    peer = ScriptedPeer(lac_config(maximum_sessions_per_tunnel=1))
    tunnel = peer.established_by_endpoint()
    peer.endpoint.place_call(tunnel, peer.now, CallParameters())
    with pytest.raises(LocalProtocolError, match="maximum_sessions_per_tunnel"):
        peer.endpoint.place_call(tunnel, peer.now, CallParameters())
