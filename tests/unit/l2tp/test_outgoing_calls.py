"""Calls that the LNS asks for and the LAC dials (RFC 2661 §7.5), between two endpoints."""

import pytest

from l2tp.protocol.constants import Bearer, CallResult, ErrorCode, Framing
from l2tp.protocol.endpoint import CallParameters
from l2tp.protocol.errors import LocalProtocolError, ResultCode
from l2tp.protocol.events import (
    CallAnswered,
    CallRequested,
    MessageSent,
    SessionClosed,
    SessionEstablished,
    TunnelEstablished,
)
from l2tp.protocol.messages import CDN
from l2tp.protocol.values import Q931Cause
from tests.support.memory_network import LAC, LNS, MemoryNetwork, Node, lac_config, lns_config
from tests.support.scripted_peer import ScriptedPeer, ocrq

WANTED = CallParameters(called_number="555", minimum_bps=64_000, maximum_bps=128_000)


def pair(**changes: object) -> tuple[MemoryNetwork, Node, Node]:
    """A LAC that dials, and an LNS; both open tunnels and take them."""
    network = MemoryNetwork()
    config = {"accepts_tunnels": True, "accepts_outgoing_calls": True, **changes}
    return network, network.add(LAC, lac_config(**config), 1), network.add(LNS, lns_config(), 2)


def request(
    network: MemoryNetwork, lns: Node, call: CallParameters = WANTED, *, opener: Node | None = None
) -> tuple[int, int]:
    """Open a tunnel from one end, and let the LNS ask for a call in it."""
    opener = opener or lns
    opener.endpoint.open_tunnel(LAC if opener is lns else LNS, network.now)
    network.run(1)
    tunnel = lns.of(TunnelEstablished)[0].local_tunnel_id
    session = lns.endpoint.request_call(tunnel, network.now, call)
    network.run(1)
    return tunnel, session


def ids(event: CallRequested) -> tuple[int, int]:
    return event.local_tunnel_id, event.local_session_id


def names(node: Node) -> list[str]:
    return [event.name for event in node.of(MessageSent) if event.name != "ZLB"]


@pytest.mark.rfc2661("5.2-outgoing", "7.5-ocrp")
@pytest.mark.parametrize("opens", ["lac", "lns"])
def test_the_lns_asks_and_the_lac_dials(opens: str) -> None:
    network, lac, lns = pair()
    _, session = request(network, lns, opener=lac if opens == "lac" else lns)
    (asked,) = lac.of(CallRequested)
    assert asked.outgoing
    assert asked.call.called_number == "555"
    assert (asked.call.minimum_bps, asked.call.maximum_bps) == (64_000, 128_000)
    assert asked.call.bearer_type == Bearer.DIGITAL | Bearer.ANALOG
    assert not lns.of(CallAnswered)
    lac.endpoint.accept_call(*ids(asked), network.now)
    network.run(1)
    (answered,) = lns.of(CallAnswered)
    assert answered.outgoing
    assert answered.local_session_id == session
    assert answered.peer_session_id == asked.local_session_id
    assert not lns.of(SessionEstablished) + lac.of(SessionEstablished)
    lac.endpoint.connect_call(
        *ids(asked),
        network.now,
        tx_connect_speed_bps=128_000,
        rx_connect_speed_bps=64_000,
        sequencing_required=True,
    )
    network.run(1)
    (up_lac,), (up_lns,) = lac.of(SessionEstablished), lns.of(SessionEstablished)
    assert (up_lac.lns_mode, up_lns.lns_mode) == (False, True)
    assert (up_lac.outgoing, up_lns.outgoing) == (True, True)
    assert up_lns.peer_session_id == up_lac.local_session_id
    assert up_lac.call_serial_number == up_lns.call_serial_number
    for up in (up_lac, up_lns):
        assert up.call.tx_connect_speed_bps == 128_000
        assert up.call.rx_connect_speed_bps == 64_000
        assert up.call.framing_type == Framing.SYNCHRONOUS
        assert up.call.sequencing_required
    assert [name for name in names(lns) if name[0] == "O"] == ["OCRQ"]
    assert [name for name in names(lac) if name[0] == "O"] == ["OCRP", "OCCN"]


@pytest.mark.rfc2661("7.5-release", "4.4.4-q931")
def test_what_the_line_said_of_a_failed_call_reaches_the_lns() -> None:
    network, lac, lns = pair()
    request(network, lns)
    (asked,) = lac.of(CallRequested)
    lac.endpoint.accept_call(*ids(asked), network.now)
    network.run(1)
    busy = Q931Cause(17, 0x45, "user busy")
    lac.endpoint.hang_up(*ids(asked), network.now, ResultCode(CallResult.BUSY), q931_cause=busy)
    network.run(1)
    (closed,) = lns.of(SessionClosed)
    assert (closed.result_code, closed.q931_cause, closed.by_peer) == (CallResult.BUSY, busy, True)
    assert "busy signal" in closed.cause


def test_a_rejected_call_ends_at_once() -> None:
    network, lac, lns = pair()
    request(network, lns)
    (asked,) = lac.of(CallRequested)
    lac.endpoint.reject_call(
        *ids(asked), network.now, ResultCode(CallResult.INVALID_DESTINATION, 0, "no such number")
    )
    network.run(1)
    (closed,) = lns.of(SessionClosed)
    assert closed.result_code == CallResult.INVALID_DESTINATION
    assert closed.message == "no such number"


@pytest.mark.rfc2661("7.3-set-up-time")
def test_a_call_that_nobody_answers_is_given_up_in_time() -> None:
    network, lac, lns = pair(session_setup_timeout_s=9)
    request(network, lns)
    lac.endpoint.accept_call(*ids(lac.of(CallRequested)[0]), network.now)
    network.run(20)
    assert lac.of(SessionClosed)[0].result_code == CallResult.NOT_ESTABLISHED_IN_TIME
    assert "wait-cs-answer" in lac.of(SessionClosed)[0].cause
    assert lns.of(SessionClosed)[0].by_peer


@pytest.mark.rfc2661("4.4.3-framing")
@pytest.mark.parametrize(
    ("changes", "call", "result", "error"),
    [
        ({"accepts_outgoing_calls": False}, WANTED, CallResult.NO_FACILITIES_PERMANENT, 0),
        (
            {},
            CallParameters(called_number="5", minimum_bps=2, maximum_bps=1),
            CallResult.GENERAL_ERROR,
            ErrorCode.VALUE_OUT_OF_RANGE,
        ),
        (
            {"maximum_sessions_per_tunnel": 0},
            WANTED,
            CallResult.NO_FACILITIES_TEMPORARY,
            0,
        ),
    ],
)
def test_a_lac_refuses_what_it_cannot_dial(
    changes: dict[str, object], call: CallParameters, result: int, error: int
) -> None:
    network, lac, lns = pair(**changes)
    request(network, lns, call)
    assert not lac.of(CallRequested)
    (closed,) = lns.of(SessionClosed)
    assert (closed.result_code, closed.error_code, closed.by_peer) == (result, error, True)


@pytest.mark.rfc2661("4.4.4-bearer")
def test_a_lac_refuses_a_bearer_or_a_framing_that_it_never_advertised() -> None:
    for changes in ({"bearer_type": 2}, {"framing_type": 2}):
        peer = ScriptedPeer(
            lac_config(
                accepts_tunnels=True,
                accepts_outgoing_calls=True,
                bearer_capabilities=1,
                framing_capabilities=1,
            )
        )
        peer.established()
        peer.names()
        peer.say(ocrq(**changes))
        (cdn,) = peer.said
        assert isinstance(cdn, CDN)
        assert cdn.result_code.result == CallResult.NO_FACILITIES_PERMANENT
        assert not peer.of(CallRequested)


@pytest.mark.rfc2661("4.4.3-framing", "6.9-bearer", "4.4.4-bearer")
@pytest.mark.parametrize(
    ("changes", "call", "text"),
    [
        ({"bearer_capabilities": None}, WANTED, "no Bearer Capabilities"),
        ({"bearer_capabilities": 0}, WANTED, "no Bearer Capabilities"),
        ({"bearer_capabilities": 2}, CallParameters(bearer_type=1), "Bearer Capabilities are 0x2"),
        (
            {"framing_capabilities": 1},
            CallParameters(framing_type=2),
            "Framing Capabilities are 0x1",
        ),
    ],
)
def test_an_lns_asks_for_nothing_that_the_lac_did_not_advertise(
    changes: dict[str, object], call: CallParameters, text: str
) -> None:
    network, lac, lns = pair(**changes)
    request(network, lns, call)
    (closed,) = lns.of(SessionClosed)
    assert closed.result_code is None
    assert text in closed.cause
    assert "§4.4." in closed.cause
    assert "OCRQ" not in names(lns)
    assert not lac.of(CallRequested)


@pytest.mark.parametrize(
    ("advertised", "wanted", "asked"), [(3, None, 1), (1, None, 1), (2, None, 2), (3, 3, 3)]
)
def test_a_call_without_a_wish_takes_the_framing_that_the_peer_has(
    advertised: int, wanted: int | None, asked: int
) -> None:
    network, lac, lns = pair(framing_capabilities=advertised)
    request(network, lns, CallParameters(called_number="5", framing_type=wanted))
    assert lac.of(CallRequested)[0].call.framing_type == asked


def test_an_incoming_call_is_not_offered_with_other_framing_than_the_lns_has() -> None:
    peer = ScriptedPeer(lac_config())
    tunnel = peer.established_by_endpoint()
    peer.names()
    peer.endpoint.place_call(tunnel, peer.now, CallParameters(framing_type=4))
    peer.collect()
    assert peer.names() == []
    assert "Framing Type 0x4" in peer.of(SessionClosed)[0].cause


def test_only_an_accepted_outgoing_call_can_be_connected() -> None:
    network, lac, lns = pair()
    tunnel, session = request(network, lns)
    asked = ids(lac.of(CallRequested)[0])
    with pytest.raises(LocalProtocolError, match="bearer answers"):
        lac.endpoint.connect_call(*asked, network.now, tx_connect_speed_bps=1)
    with pytest.raises(LocalProtocolError, match="not possible"):
        lns.endpoint.accept_call(tunnel, session, network.now)
    lac.endpoint.accept_call(*asked, network.now)
    with pytest.raises(LocalProtocolError, match="cannot hold"):
        lac.endpoint.connect_call(*asked, network.now, tx_connect_speed_bps=1 << 32)
    lac.endpoint.connect_call(*asked, network.now, tx_connect_speed_bps=1)
    with pytest.raises(LocalProtocolError, match="not possible"):
        lac.endpoint.connect_call(*asked, network.now, tx_connect_speed_bps=1)


def test_a_call_that_fits_into_no_ocrq_is_refused_here() -> None:
    network, _, lns = pair()
    tunnel = lns.endpoint.open_tunnel(LAC, network.now)
    with pytest.raises(LocalProtocolError, match="Minimum BPS"):
        lns.endpoint.request_call(tunnel, network.now, CallParameters(minimum_bps=-1))
