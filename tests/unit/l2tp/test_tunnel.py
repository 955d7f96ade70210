"""Every tunnel state × everything a peer may send, and what then goes out."""

import pytest

from l2tp.protocol.constants import StopResult
from l2tp.protocol.errors import ResultCode
from l2tp.protocol.events import (
    DropReason,
    PeerAddressChanged,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
    TunnelRequested,
)
from l2tp.protocol.header import CONTROL_HEADER_SIZE
from l2tp.protocol.messages import (
    CDN,
    HELLO,
    ICRP,
    OCCN,
    OCRP,
    OCRQ,
    SCCCN,
    SLI,
    WEN,
    ControlMessage,
    StopCCN,
    UnknownMessage,
)
from l2tp.protocol.values import Accm, CallErrors, ProtocolVersion
from tests.support.memory_network import lac_config, lns_config
from tests.support.scripted_peer import (
    PEER,
    PEER_SESSION_ID,
    PEER_TUNNEL_ID,
    ScriptedPeer,
    iccn,
    icrq,
    sccrp,
    sccrq,
)

STOP = StopCCN(result_code=ResultCode(6), assigned_tunnel_id=PEER_TUNNEL_ID)
MESSAGES: dict[str, ControlMessage] = {
    "SCCRQ": sccrq(),
    "SCCRP": sccrp(),
    "SCCCN": SCCCN(),
    "StopCCN": STOP,
    "HELLO": HELLO(),
    "ICRQ": icrq(),
    "ICRP": ICRP(assigned_session_id=PEER_SESSION_ID),
    "ICCN": iccn(),
    "CDN": CDN(result_code=ResultCode(3), assigned_session_id=PEER_SESSION_ID),
    "OCRQ": OCRQ(
        assigned_session_id=PEER_SESSION_ID,
        call_serial_number=1,
        minimum_bps=1,
        maximum_bps=2,
        bearer_type=1,
        framing_type=1,
        called_number="1",
    ),
    "OCRP": OCRP(assigned_session_id=PEER_SESSION_ID),
    "OCCN": OCCN(framing_type=1, tx_connect_speed=1),
    "WEN": WEN(call_errors=CallErrors(0, 0, 0, 0, 0, 0)),
    "SLI": SLI(accm=Accm(0, 0)),
    "unknown": UnknownMessage(unknown_type=99),
}
STATES = ("wait_ctl_reply", "wait_ctl_conn", "established", "established_by_endpoint", "stopped")

# Anything not listed is out of sequence there: StopCCN with result 7 (§7.2.1).
ANSWERS: dict[str, dict[str, list[str]]] = {
    "wait_ctl_reply": {"SCCRP": ["SCCCN"], "StopCCN": [], "HELLO": [], "unknown": []},
    "wait_ctl_conn": {"SCCCN": [], "StopCCN": [], "HELLO": [], "unknown": []},
    "established": {
        **{name: [] for name in ("StopCCN", "HELLO", "ICRQ", "unknown")},
        **{name: [] for name in ("ICCN", "CDN", "OCRP", "OCCN", "WEN", "SLI")},
        **{name: ["CDN"] for name in ("OCRQ", "ICRP")},
    },
    "stopped": {name: [] for name in MESSAGES},
}
ANSWERS["established_by_endpoint"] = ANSWERS["established"] | {"ICRQ": ["CDN"], "ICRP": []}


def enter(state: str) -> ScriptedPeer:
    initiates = state in ("wait_ctl_reply", "established_by_endpoint")
    peer = ScriptedPeer(lac_config() if initiates else lns_config())
    if state == "stopped":
        local = peer.established()
        peer.endpoint.close_tunnel(local, peer.now)
        peer.collect()
    else:
        getattr(peer, state)()
    peer.names()
    peer.events.clear()
    return peer


@pytest.mark.rfc2661("7.2-table")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", list(MESSAGES))
def test_every_state_and_message(state: str, name: str) -> None:
    peer = enter(state)
    session_id = 500 if name in ("ICRP", "ICCN", "CDN", "OCRP", "OCCN", "WEN", "SLI") else 0
    peer.say(MESSAGES[name], session_id=session_id)
    said = list(peer.said)
    expected = ANSWERS[state].get(name)
    if expected is None:
        assert [message.name for message in said] == ["StopCCN"]
        assert isinstance(said[0], StopCCN)
        assert said[0].result_code.result == StopResult.STATE_MACHINE_ERROR
        (closed,) = peer.of(TunnelClosed)
        assert not closed.by_peer
        assert f"{name} in state {state.split('_by_')[0].replace('_', '-')}" in closed.cause
    else:
        assert [message.name for message in said] == expected
        assert bool(peer.of(TunnelClosed)) == (name == "StopCCN" and state != "stopped")
        opens = (state, name) in (("wait_ctl_reply", "SCCRP"), ("wait_ctl_conn", "SCCCN"))
        assert bool(peer.of(TunnelEstablished)) == opens
    # Whatever it was, it is acknowledged within the delay (§5.8).
    peer.pass_time(0.1)
    assert peer.headers[-1].nr == peer.ns


@pytest.mark.rfc2661("5.7-retention")
@pytest.mark.parametrize("state", STATES)
def test_a_closed_tunnel_is_released_and_forgotten(state: str) -> None:
    peer = enter(state)
    for number in list(peer.endpoint._tunnels.by_id):
        peer.endpoint.close_tunnel(number, peer.now)
    peer.collect()
    peer.pass_time(200)
    assert len(peer.of(TunnelReleased)) == 1
    assert peer.endpoint.get_timer() is None
    assert not peer.endpoint._tunnels.by_id
    assert not peer.endpoint._tunnels.by_peer_id


REFUSED_GREETINGS = [
    ({"protocol_version": ProtocolVersion(2, 0)}, 5, 0x0100, "version 2 is not 1"),
    ({"challenge": b"x"}, 4, 0, "no secret is configured"),
]


@pytest.mark.rfc2661("7.2-version", "4.4.2-version")
@pytest.mark.parametrize(("changes", "result", "error", "cause"), REFUSED_GREETINGS)
def test_unacceptable_sccrq(
    changes: dict[str, object], result: int, error: int, cause: str
) -> None:
    peer = ScriptedPeer(lns_config())
    peer.say(sccrq(**changes), tunnel_id=0)
    _check_refusal(peer, result, error, cause)
    assert not peer.of(TunnelRequested)


@pytest.mark.rfc2661("7.2-version")
@pytest.mark.parametrize(("changes", "result", "error", "cause"), REFUSED_GREETINGS)
def test_unacceptable_sccrp(
    changes: dict[str, object], result: int, error: int, cause: str
) -> None:
    peer = ScriptedPeer(lac_config())
    peer.wait_ctl_reply()
    peer.said.clear()
    peer.say(sccrp(**changes))
    _check_refusal(peer, result, error, cause)
    assert not peer.of(TunnelEstablished)


def _check_refusal(peer: ScriptedPeer, result: int, error: int, cause: str) -> None:
    (stop,) = peer.said
    assert isinstance(stop, StopCCN)
    assert (stop.result_code.result, stop.result_code.error) == (result, error)
    assert peer.headers[-1].tunnel_id == PEER_TUNNEL_ID
    (closed,) = peer.of(TunnelClosed)
    assert (closed.result_code, closed.error_code, closed.by_peer) == (result, error, False)
    assert cause in closed.cause
    assert str(PEER) in closed.cause


def test_an_end_that_accepts_no_tunnels_says_so() -> None:
    peer = ScriptedPeer(lac_config())
    peer.say(sccrq(), tunnel_id=0)
    _check_refusal(peer, StopResult.NOT_AUTHORIZED, 0, "accepts no tunnels")


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        ("8008 0000 0000 0001 8008 0000 0009 1092", 3),
        ("8008 0000 0000 0001 8008 0000 0009 1092 8006 0000 00ff", 8),
        ("8008 0000 0000 0001 8008 0000 0009 1092 8009 0000 0002 010000", 2),
    ],
)
def test_an_invalid_sccrq_is_refused_by_name(octets: str, error: int) -> None:
    peer = ScriptedPeer(lns_config())
    peer.body(bytes.fromhex(octets), tunnel_id=0)
    _check_refusal(peer, StopResult.GENERAL_ERROR, error, "invalid message")


@pytest.mark.rfc2661("4.1-mandatory-tunnel", "7.1-clear")
def test_an_invalid_message_of_the_tunnel_ends_it() -> None:
    peer = ScriptedPeer(lns_config())
    peer.established()
    peer.names()
    peer.body(bytes.fromhex("8008 0000 0000 0006 8006 0000 00ff"))
    _check_refusal(peer, StopResult.GENERAL_ERROR, 8, "HELLO: AVP 255 of vendor 0 is unknown")


def test_what_the_peer_says_of_itself_is_reported() -> None:
    peer = ScriptedPeer(lns_config())
    local = peer.wait_ctl_conn()
    peer.say(SCCCN())
    assert peer.of(TunnelEstablished) == [
        TunnelEstablished(
            local_tunnel_id=local,
            peer_tunnel_id=PEER_TUNNEL_ID,
            peer=PEER,
            peer_host_name="peer",
            peer_vendor_name=None,
            peer_firmware_revision=None,
            peer_framing_capabilities=3,
            peer_bearer_capabilities=None,
            peer_receive_window_size=4,
            initiated=False,
            authenticated=False,
        )
    ]


@pytest.mark.rfc2661("7.3-set-up-time")
def test_a_set_up_that_does_not_go_on_ends() -> None:
    peer = ScriptedPeer(lns_config(tunnel_setup_timeout_s=20))
    peer.wait_ctl_conn()
    peer.zlb()
    peer.names()
    peer.pass_time(19)
    assert not peer.of(TunnelClosed)
    peer.pass_time(2)
    assert peer.names()[0] == "StopCCN"
    assert "still wait-ctl-conn after 20 s" in peer.of(TunnelClosed)[0].cause


@pytest.mark.rfc2661("4.4.3-tunnel-id")
def test_a_sccrq_sent_again_still_has_tunnel_id_zero() -> None:
    peer = ScriptedPeer(lac_config())
    peer.wait_ctl_reply()
    peer.nr = 0  # an odd peer, which answers before it acknowledges
    peer.say(sccrp())
    peer.pass_time(1.5)
    headers = [header for header in peer.headers if header.length > CONTROL_HEADER_SIZE]
    assert [message.name for message in peer.said] == ["SCCRQ", "SCCRQ"]
    assert [header.tunnel_id for header in headers] == [0, 0]


@pytest.mark.rfc2661("8.1-static")
def test_only_the_expected_answer_moves_the_peer() -> None:
    peer = ScriptedPeer(lac_config())
    peer.wait_ctl_reply()
    elsewhere = PEER._replace(port=9999)
    peer.ns = 1
    peer.say(sccrp(), source=elsewhere)
    assert peer.endpoint.dropped == {DropReason.WRONG_SOURCE: 1}
    peer.ns = 0
    peer.say(sccrp(), source=elsewhere)
    assert peer.of(PeerAddressChanged)[0].peer == elsewhere
    assert peer.of(TunnelEstablished)
