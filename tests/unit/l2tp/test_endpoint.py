"""Two endpoints over the in-memory network: set-up, tear-down, time, addresses, authentication."""

from random import Random

import pytest

from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import StopResult
from l2tp.protocol.endpoint import (
    Address,
    CallParameters,
    Datagram,
    Endpoint,
    EndpointConfig,
    ResultCode,
)
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.events import (
    CallRequested,
    DatagramDropped,
    DropReason,
    Event,
    MessageReceived,
    MessageSent,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
)
from l2tp.protocol.header import encode_control, encode_data
from l2tp.protocol.ids import choose_id
from l2tp.protocol.messages import SCCRQ
from tests.support.memory_network import (
    DELAY_S,
    LAC,
    LNS,
    MemoryNetwork,
    Mischief,
    Node,
    faithful,
    lac_config,
    lns_config,
)

LAC_2 = Address("192.0.2.1", 40000)


def accepting(node: Node) -> Node:
    def accept(event: Event, now: float) -> None:
        if isinstance(event, CallRequested):
            node.endpoint.accept_call(event.local_tunnel_id, event.local_session_id, now)

    node.on_event = accept
    return node


def lab(
    mischief: Mischief = faithful, lac: dict[str, object] | None = None, **lns: object
) -> tuple[MemoryNetwork, Node, Node]:
    network = MemoryNetwork(mischief)
    first = network.add(LAC, lac_config(**(lac or {})), seed=1)
    return network, first, accepting(network.add(LNS, lns_config(**lns), seed=2))


def up(network: MemoryNetwork, lac: Node, calls: int = 1) -> tuple[int, list[int]]:
    tunnel = lac.endpoint.open_tunnel(LNS, network.now)
    sessions = [
        lac.endpoint.place_call(tunnel, network.now, CallParameters()) for _ in range(calls)
    ]
    network.run(5)
    return tunnel, sessions


def flow(node: Node) -> str:
    signs = {MessageSent: ">", MessageReceived: "<"}
    return " ".join(
        f"{signs[type(event)]}{event.name}"
        for event in node.events
        if isinstance(event, MessageSent | MessageReceived)
    )


@pytest.mark.rfc2661("5.1-three-messages", "5.2-incoming")
def test_one_call_from_nothing_to_nothing() -> None:
    network, lac, lns = lab()
    tunnel, (session,) = up(network, lac)
    assert flow(lac) == ">SCCRQ <SCCRP >SCCCN >ICRQ <ICRP >ICCN <ZLB"
    lac.endpoint.hang_up(tunnel, session, network.now)
    network.run(1)
    lac.endpoint.close_tunnel(tunnel, network.now)
    network.run(1)
    assert flow(lac).endswith(">ICCN <ZLB >CDN <ZLB >StopCCN <ZLB")
    assert not lac.endpoint.has_unacknowledged(tunnel)
    network.run(60)
    for node in (lac, lns):
        assert [len(node.of(kind)) for kind in (SessionEstablished, SessionClosed)] == [1, 1]
        kinds = (TunnelEstablished, TunnelClosed, TunnelReleased)
        assert [len(node.of(kind)) for kind in kinds] == [1, 1, 1]
        assert not node.endpoint.dropped
        assert node.endpoint.get_timer() is None
        assert node.endpoint._tunnels.by_id == node.endpoint._tunnels.by_peer_id == {}


@pytest.mark.rfc2661("3.1-ids", "4.4.3-tunnel-id", "4.4.4-session-id")
def test_ids_agree_at_both_ends() -> None:
    network, lac, lns = lab()
    up(network, lac, calls=20)
    here, there = lac.of(SessionEstablished), lns.of(SessionEstablished)
    assert {(e.local_session_id, e.peer_session_id) for e in here} == {
        (e.peer_session_id, e.local_session_id) for e in there
    }
    assert len({e.local_session_id for e in here}) == 20
    assert here[0].local_tunnel_id == there[0].peer_tunnel_id
    assert {e.lns_mode for e in here} == {False}
    assert {e.lns_mode for e in there} == {True}


def test_several_sessions_in_several_tunnels() -> None:
    network, lac, lns = lab()
    other = network.add(LAC_2, lac_config(host_name="lac2"), seed=3)
    first, _ = up(network, lac, calls=3)
    second, _ = up(network, lac, calls=2)
    up(network, other, calls=4)
    assert len(lns.of(SessionEstablished)) == 9
    lac.endpoint.close_tunnel(first, network.now)
    network.run(1)
    # The StopCCN ends its sessions, and no CDN passes.
    assert len(lns.of(SessionClosed)) == 3
    assert "CDN" not in flow(lac)
    assert {e.local_tunnel_id for e in lac.of(SessionClosed)} == {first}
    assert all("the tunnel ended" in e.cause for e in lac.of(SessionClosed))
    assert lac.endpoint.place_call(second, network.now, CallParameters())


@pytest.mark.rfc2661("7.2-local-end")
def test_the_lns_may_close_too() -> None:
    network, lac, lns = lab()
    up(network, lac)
    tunnel = lns.of(TunnelEstablished)[0].local_tunnel_id
    lns.endpoint.close_tunnel(tunnel, network.now, ResultCode(1, 0, "maintenance"))
    network.run(1)
    (closed,) = lac.of(TunnelClosed)
    assert (closed.by_peer, closed.result_code, closed.message) == (True, 1, "maintenance")
    assert "198.51.100.2:1701 closed the tunnel with result 1" in closed.cause
    assert lac.of(SessionClosed)[0].by_peer


def test_both_may_close_at_once() -> None:
    network, lac, lns = lab()
    tunnel, _ = up(network, lac)
    lac.endpoint.close_tunnel(tunnel, network.now)
    lns.endpoint.close_tunnel(lns.of(TunnelEstablished)[0].local_tunnel_id, network.now)
    network.run(100)
    for node in (lac, lns):
        assert len(node.of(TunnelClosed)) == len(node.of(TunnelReleased)) == 1
        assert not node.endpoint.dropped
        assert sum(e.name == "StopCCN" for e in node.of(MessageSent)) == 1


def test_neither_of_two_that_close_at_once_waits_for_the_others_acknowledgement() -> None:
    network, lac, lns = lab()
    tunnel, _ = up(network, lac)
    far = lns.of(TunnelEstablished)[0].local_tunnel_id
    lac.endpoint.close_tunnel(tunnel, network.now)
    lns.endpoint.close_tunnel(far, network.now)
    network.run(4 * DELAY_S)  # each may end as soon as its own is acknowledged
    assert not lac.endpoint.has_unacknowledged(tunnel)
    assert not lns.endpoint.has_unacknowledged(far)


@pytest.mark.rfc2661("4.4.3-tunnel-id")
def test_a_sccrq_has_tunnel_id_zero_each_time() -> None:
    network, lac, _ = lab(lambda *_: ())
    lac.endpoint.open_tunnel(LNS, network.now)
    seen: list[Datagram] = []
    original = lac.endpoint.datagrams_to_send
    lac.endpoint.datagrams_to_send = lambda: (due := original(), seen.extend(due))[0]  # type: ignore[method-assign]
    network.run(10)
    assert len(seen) == 4
    assert {d.data[4:6] for d in seen} == {b"\x00\x00"}
    assert {d.destination for d in seen} == {LNS}


# Dead peers: whose silence, and the words that must name it.


def test_nobody_answers_the_first_message() -> None:
    network, lac, _ = lab(lambda *_: ())
    tunnel = lac.endpoint.open_tunnel(LNS, network.now)
    network.run(30.9)
    assert not lac.of(TunnelClosed)
    network.run(0.2)
    (closed,) = lac.of(TunnelClosed)
    assert closed.local_tunnel_id == tunnel
    assert closed.result_code is None
    assert closed.cause.startswith(
        "no answer from 198.51.100.2:1701 to SCCRQ after 5 retransmissions (RFC 2661 §5.8):"
        " nobody listening there, a firewall, no route"
    )
    assert "ss -lun 'sport = :1701'" in closed.cause
    assert [e.transmission for e in lac.of(MessageSent)] == [1, 2, 3, 4, 5, 6]
    assert lac.of(TunnelReleased)
    assert lac.endpoint.get_timer() is None


def test_what_the_network_reported_is_the_cause() -> None:
    network, lac, _ = lab(lambda *_: ())
    tunnel = lac.endpoint.open_tunnel(LNS, network.now)
    lac.endpoint.note_network_error(tunnel, "Connection refused")
    network.run(40)
    assert lac.of(TunnelClosed)[0].cause.endswith("the network reported Connection refused")


def test_an_answer_that_does_not_get_back() -> None:
    network, _, lns = lab(lambda _, source, __: () if source == LNS else (0.001,))
    lac = network.nodes[LAC]
    lac.endpoint.open_tunnel(LNS, network.now)
    network.run(100)
    (closed,) = lns.of(TunnelClosed)
    assert "to SCCRP after 5 retransmissions" in closed.cause
    assert "the request came through but the answer does not" in closed.cause


@pytest.mark.rfc2661("5.5-hello", "5.5-unanswered", "5.8-give-up")
def test_a_peer_that_goes_away_is_found_by_hello() -> None:
    network, lac, lns = lab(lac={"hello_interval_s": 10})
    up(network, lac, calls=2)
    network.run(100)
    assert not lac.of(TunnelClosed)
    hellos = [e for e in lac.of(MessageSent) if e.name == "HELLO"]
    assert 8 <= len(hellos) <= 10
    del network.nodes[LNS]
    network.run(50)
    (closed,) = lac.of(TunnelClosed)
    assert "to HELLO after 5 retransmissions" in closed.cause
    assert "last heard" in closed.cause
    assert len(lac.of(SessionClosed)) == 2
    assert not lns.of(TunnelClosed)


@pytest.mark.rfc2661("5.5-hello", "6.5-not-expected")
def test_no_hello_when_switched_off() -> None:
    network, lac, lns = lab(lac={"hello_interval_s": 0}, hello_interval_s=0)
    up(network, lac)
    network.run(10_000)
    assert "HELLO" not in flow(lac)
    assert lac.endpoint.get_timer() is None
    assert lns.endpoint.get_timer() is None


@pytest.mark.rfc2661("5.7-retention")
def test_a_stopccn_is_acknowledged_again_during_retention() -> None:
    network, lac, lns = lab()
    tunnel, _ = up(network, lac)
    lost = 0

    def lose_acknowledgements(_: Datagram, source: Address, __: float) -> tuple[float, ...]:
        nonlocal lost
        lost += source == LNS
        return () if source == LNS and lost <= 3 else (0.001,)

    network.mischief = lose_acknowledgements
    lac.endpoint.close_tunnel(tunnel, network.now)
    network.run(29)
    assert len([e for e in lac.of(MessageSent) if e.name == "StopCCN"]) == 4
    assert lns.endpoint.dropped[DropReason.DUPLICATE] == 3
    assert len(lns.of(TunnelClosed)) == 1
    assert not lac.endpoint.has_unacknowledged(tunnel)
    assert not lns.of(TunnelReleased)
    network.run(5)
    assert lns.of(TunnelReleased)


# Addresses.


@pytest.mark.rfc2661("8.1-ports")
def test_the_answerer_may_move_its_port() -> None:
    network, lac, lns = lab()
    moved = LNS._replace(port=40001)
    lac.endpoint.open_tunnel(LNS, network.now)
    network.mischief = lambda *_: ()
    network.collect()
    # What the LNS would have said, from another port.
    request = next(e.message for e in lac.of(MessageSent))
    assert isinstance(request, SCCRQ)
    del network.nodes[LNS]
    network.nodes[moved] = lns
    lns.address = moved
    network.mischief = faithful
    network.run(1.5)  # nobody at the old port
    network.inject(LAC, moved, encode_control(0, 0, 0, 0, encode_message(request)))
    network.run(0.5)
    (established,) = lac.of(TunnelEstablished)
    assert established.peer == moved
    kinds = [type(e).__name__ for e in lac.events]
    assert kinds.index("PeerAddressChanged") < kinds.index("TunnelEstablished")
    # Once established, addresses are fixed (§8.1).
    network.inject(LNS, LAC, encode_control(established.local_tunnel_id, 0, 1, 2, b""))
    network.run(0.1)
    assert lac.endpoint.dropped == {DropReason.WRONG_SOURCE: 1}


@pytest.mark.rfc2661("8.1-static")
@pytest.mark.parametrize("source", [LAC_2, Address("203.0.113.1", 1701)])
def test_another_source_is_dropped_and_counted(source: Address) -> None:
    network, lac, lns = lab()
    up(network, lac)
    tunnel = lns.of(TunnelEstablished)[0].local_tunnel_id
    stop = bytes.fromhex("8008 0000 0000 0004 8008 0000 0001 0001 8008 0000 0009 0007")
    network.inject(source, LNS, encode_control(tunnel, 0, 4, 2, stop))
    network.run(1)
    assert lns.endpoint.dropped == {DropReason.WRONG_SOURCE: 1}
    (dropped,) = lns.of(DatagramDropped)
    assert (dropped.source, dropped.section) == (source, "§8.1")
    assert not lns.of(TunnelClosed)


def test_a_zlb_or_hello_does_not_move_the_peer() -> None:
    network, lac, _ = lab(lambda *_: ())
    tunnel = lac.endpoint.open_tunnel(LNS, network.now)
    hello = bytes.fromhex("8008 0000 0000 0006")
    for body in (b"", hello):
        lac.endpoint.receive_datagram(encode_control(tunnel, 0, 0, 1, body), LAC_2, network.now)
    assert lac.endpoint.dropped == {DropReason.WRONG_SOURCE: 2}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", DropReason.MALFORMED_HEADER),
        (b"\xc8\x03" + bytes(10), DropReason.MALFORMED_HEADER),
        (encode_data(5, 6, b"frame"), DropReason.DATA_MESSAGE),
        (encode_control(5, 0, 0, 0), DropReason.UNKNOWN_TUNNEL),
        (encode_control(0, 0, 0, 0), DropReason.NOT_A_REQUEST),
        (
            encode_control(0, 0, 0, 0, bytes.fromhex("8008 0000 0000 0006")),
            DropReason.NOT_A_REQUEST,
        ),
        (
            encode_control(0, 0, 0, 0, bytes.fromhex("8008 0000 0000 0001")),
            DropReason.MALFORMED_REQUEST,
        ),
        (
            encode_control(0, 0, 1, 0, bytes.fromhex("8008 0000 0000 0001 8008 0000 0009 0001")),
            DropReason.MALFORMED_REQUEST,
        ),
        (
            encode_control(
                0,
                0,
                1,
                0,
                bytes.fromhex("8008 0000 0000 0004 8008 0000 0001 0001 8008 0000 0009 0007"),
            ),
            DropReason.UNKNOWN_TUNNEL,
        ),
    ],
)
def test_what_is_not_used_is_dropped_with_its_cause(data: bytes, reason: DropReason) -> None:
    endpoint = Endpoint(lns_config(), random=Random(1))
    endpoint.receive_datagram(data, LAC, 0.0)
    event = endpoint.next_event()
    assert isinstance(event, DatagramDropped)
    assert event.reason is reason
    assert event.cause
    assert event.section.startswith("§")
    assert endpoint.dropped == {reason: 1}
    assert endpoint.datagrams_to_send() == []
    assert endpoint.get_timer() is None


def test_a_repeated_sccrq_makes_no_second_tunnel() -> None:
    network, lac, lns = lab(lambda _, __, ___: (0.001, 0.002, 0.5))
    up(network, lac)
    assert len(lns.of(TunnelEstablished)) == 1
    assert len(lns.of(SessionEstablished)) == len(lac.of(SessionEstablished)) == 1
    assert lns.endpoint.dropped[DropReason.DUPLICATE] > 0


@pytest.mark.rfc2661("4.4.3-stop-id")
def test_a_stopccn_before_the_sccrp_arrives_finds_its_tunnel() -> None:
    network, lac, lns = lab(lambda _, source, __: () if source == LNS else (0.001,))
    tunnel = lac.endpoint.open_tunnel(LNS, network.now)
    network.run(0.1)
    request = lns.of(MessageReceived)[0].message
    assert isinstance(request, SCCRQ)
    stop = bytes.fromhex("8008 0000 0000 0004 8008 0000 0001 0006 8008 0000 0009")
    body = stop + tunnel.to_bytes(2, "big")
    network.inject(LAC, LNS, encode_control(0, 0, 1, 0, body))
    network.run(0.1)
    assert lns.of(TunnelClosed)[0].result_code == StopResult.SHUTTING_DOWN


def test_closing_before_the_answer_comes_closes_the_peer_too() -> None:
    network, lac, lns = lab(lambda *_: (0.2,))
    tunnel = lac.endpoint.open_tunnel(LNS, network.now)
    network.run(0.3)
    lac.endpoint.close_tunnel(tunnel, network.now)
    network.run(2)
    assert lns.of(TunnelClosed)[0].by_peer
    assert not lac.of(TunnelEstablished)


# Authentication (§5.1.1).


@pytest.mark.rfc2661("5.1.1-response", "5.1.1-refuse", "9.1-authentication", "4.4.3-response")
@pytest.mark.parametrize("lac_secret", [None, b"secret", b"other"])
@pytest.mark.parametrize("lns_secret", [None, b"secret"])
def test_authentication(lac_secret: bytes | None, lns_secret: bytes | None) -> None:
    network, lac, lns = lab(lac={"secret": lac_secret}, secret=lns_secret)
    up(network, lac)
    if lac_secret == lns_secret:
        for node in (lac, lns):
            assert node.of(TunnelEstablished)[0].authenticated == (lac_secret is not None)
        return
    (closed,) = lac.of(TunnelClosed)
    assert closed.result_code == StopResult.NOT_AUTHORIZED
    words = {
        (None, b"secret"): "no secret is configured for it",
        (b"secret", None): "no secret is configured for it",
        (b"other", None): "no secret is configured for it",
        (b"other", b"secret"): "the two ends have different secrets",
    }
    assert words[lac_secret, lns_secret] in closed.cause
    assert not lns.of(TunnelEstablished)


def test_secrets_go_by_host_name_and_by_call() -> None:
    network, lac, lns = lab(lac={"secret": b"wrong"}, secrets={"lac": b"right"})
    tunnel = lac.endpoint.open_tunnel(LNS, network.now, secret=b"right")
    network.run(1)
    assert lac.of(TunnelEstablished)[0].local_tunnel_id == tunnel
    assert lns.of(TunnelEstablished)[0].authenticated


# Limits and configuration.


def test_limits_of_tunnels() -> None:
    network, lac, lns = lab(lac={"maximum_tunnels": 2}, maximum_tunnels=1)
    lac.endpoint.open_tunnel(LNS, network.now)
    lac.endpoint.open_tunnel(LNS, network.now)
    with pytest.raises(LocalProtocolError, match="raise maximum_tunnels"):
        lac.endpoint.open_tunnel(LNS, network.now)
    network.run(1)
    assert len(lns.of(TunnelEstablished)) == 1
    (closed,) = lac.of(TunnelClosed)
    assert (closed.result_code, closed.error_code) == (StopResult.GENERAL_ERROR, 4)


def test_a_flood_of_requests_is_bounded() -> None:
    endpoint = Endpoint(lns_config(maximum_tunnels=3), random=Random(1))
    lac = Endpoint(lac_config(), random=Random(2))
    for _ in range(20):
        lac.open_tunnel(LNS, 0.0)
    for datagram in lac.datagrams_to_send():
        endpoint.receive_datagram(datagram.data, LAC, 0.0)
    assert endpoint.dropped == {DropReason.TOO_MANY_TUNNELS: 14}


@pytest.mark.parametrize(
    "changes",
    [
        {"host_name": ""},
        {"host_name": "x" * 2000},
        {"receive_window_size": 0},
        {"framing_capabilities": 1 << 32},
        {"firmware_revision": -1},
    ],
)
def test_a_configuration_that_fits_no_sccrq_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        Endpoint(lns_config(**changes), random=Random(1))


@pytest.mark.rfc2661("5.8-shutdown")
def test_retention_is_one_retransmission_cycle() -> None:
    assert EndpointConfig(host_name="x").retention_period_s() == 31
    assert EndpointConfig(host_name="x", retention_s=5).retention_period_s() == 5


@pytest.mark.rfc2661("5.3-zero")
def test_ids_are_never_zero_and_never_taken() -> None:
    taken = set(range(1, 65000))
    random = Random(3)
    for _ in range(65000, 65536):
        taken.add(choose_id(random, taken.__contains__))
    assert taken == set(range(1, 65536))
    with pytest.raises(LocalProtocolError, match="every id"):
        choose_id(random, taken.__contains__)
