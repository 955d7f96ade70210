"""Messages of sessions that are not there: which end answers, and which lets them go (§7.4)."""

import pytest

from l2tp.protocol.call_transitions import SessionState
from l2tp.protocol.constants import CallResult, ErrorCode
from l2tp.protocol.events import DatagramDropped, DropReason, SessionClosed
from l2tp.protocol.messages import CDN, ICCN, ICRP, OCCN, OCRP, ControlMessage
from tests.support.memory_network import lac_config, lns_config
from tests.support.scripted_peer import PEER_SESSION_ID, ScriptedPeer

STRANGER = 999
MAKERS = {"lac": lambda: lac_config(accepts_outgoing_calls=True), "lns": lns_config}
ICRP_MESSAGE = ICRP(assigned_session_id=PEER_SESSION_ID)
OCRP_MESSAGE = OCRP(assigned_session_id=PEER_SESSION_ID)
ICCN_MESSAGE = ICCN(tx_connect_speed=1, framing_type=1)
OCCN_MESSAGE = OCCN(tx_connect_speed=1, framing_type=1)


@pytest.mark.rfc2661("7.4-idle")
@pytest.mark.parametrize(
    ("end", "message", "section"),
    [("lns", ICRP_MESSAGE, "§7.4"), ("lac", OCRP_MESSAGE, "§7.5")],
)
def test_the_end_that_takes_calls_refuses_an_answer(
    end: str, message: ControlMessage, section: str
) -> None:
    peer = ScriptedPeer(MAKERS[end]())
    peer.established_by_endpoint()
    peer.said.clear()
    peer.say(message, session_id=STRANGER)
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert peer.headers[-1].session_id == PEER_SESSION_ID
    assert cdn.result_code.result == CallResult.GENERAL_ERROR
    assert cdn.result_code.error == ErrorCode.VENDOR_SPECIFIC
    (closed,) = peer.of(SessionClosed)
    assert closed.local_session_id == cdn.assigned_session_id
    assert f"{message.name} in state idle (RFC 2661 {section}" in closed.cause
    assert peer.of(DatagramDropped) == []


@pytest.mark.rfc2661("7.4-idle")
@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("lac", ICRP_MESSAGE),
        ("lns", OCRP_MESSAGE),
        *((end, message) for end in MAKERS for message in (ICCN_MESSAGE, OCCN_MESSAGE)),
    ],
)
def test_every_other_message_has_crossed_the_end_of_its_session(
    end: str, message: ControlMessage
) -> None:
    peer = ScriptedPeer(MAKERS[end]())
    peer.established_by_endpoint()
    peer.said.clear()
    peer.say(message, session_id=STRANGER)
    assert not any(isinstance(said, CDN) for said in peer.said)
    (dropped,) = peer.of(DatagramDropped)
    assert (dropped.reason, dropped.section) == (DropReason.UNKNOWN_SESSION, "§7.4")


@pytest.mark.rfc2661("7.4-idle")
def test_an_unasked_answer_with_the_id_of_a_session_leaves_that_one_alone() -> None:
    peer = ScriptedPeer(lns_config())
    tunnel, first = peer.call_established_as_lns()
    peer.zlb()
    peer.said.clear()
    peer.say(ICRP_MESSAGE, session_id=STRANGER)
    (cdn,) = peer.said
    assert isinstance(cdn, CDN)
    assert peer.headers[-1].session_id == 0
    info = peer.endpoint.describe_session(tunnel, first)
    assert info is not None
    assert info.state is SessionState.ESTABLISHED
