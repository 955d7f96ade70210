"""AVPs that travel hidden, in either direction (RFC 2661 §4.3)."""

from dataclasses import replace
from random import Random

import pytest

from l2tp.protocol.avp import AVP_TABLE, encode_avp, split_avps
from l2tp.protocol.codec import decode_message, encode_message
from l2tp.protocol.constants import AvpType
from l2tp.protocol.endpoint import CallParameters, Endpoint
from l2tp.protocol.errors import LocalProtocolError, MessageError
from l2tp.protocol.events import (
    CallRequested,
    DatagramDropped,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
)
from l2tp.protocol.header import CONTROL_HEADER_SIZE
from l2tp.protocol.hiding import hide
from tests.support.memory_network import LAC, LNS, MemoryNetwork, Node, lac_config, lns_config
from tests.support.scripted_peer import PEER_TUNNEL_ID, ScriptedPeer, icrq, sccrq

SECRET = b"tunnel secret"
ALL = frozenset(int(rule.type) for rule in AVP_TABLE if rule.may_hide)
CALL = CallParameters(
    calling_number="5550100",
    called_number="5550199",
    private_group_id=b"blue",
    proxy_authen_name=b"alice",
    proxy_authen_challenge=bytes(range(16)),
    proxy_authen_id=7,
    proxy_authen_response=bytes(range(16, 32)),
    last_sent_lcp_confreq=bytes.fromhex("0104 05aa"),
    framing_type=1,
)


def call(
    lac: dict[str, object] | None = None, lns: dict[str, object] | None = None
) -> tuple[MemoryNetwork, Node, Node]:
    """A LAC that calls an LNS, over a network that keeps what passed."""
    network = MemoryNetwork()
    caller = network.add(LAC, lac_config(**{"secret": SECRET, **(lac or {})}), 1)
    answerer = network.add(LNS, lns_config(**{"secret": SECRET, **(lns or {})}), 2)

    def accept(event: object, now: float) -> None:
        if isinstance(event, CallRequested):
            answerer.endpoint.accept_call(event.local_tunnel_id, event.local_session_id, now)

    answerer.on_event = accept
    tunnel = caller.endpoint.open_tunnel(LNS, network.now)
    caller.endpoint.place_call(tunnel, network.now, CALL)
    network.run(2)
    return network, caller, answerer


def hidden_types(network: MemoryNetwork, source: object) -> set[int]:
    """The types of the AVPs that one end sent hidden."""
    return {
        raw.type
        for _, sender, _, data in network.carried
        if sender == source
        for raw in split_avps(data[CONTROL_HEADER_SIZE:])[0]
        if raw.hidden
    }


def test_who_calls_is_hidden_with_a_secret() -> None:
    network, _, lns = call()
    (up,) = lns.of(SessionEstablished)
    expected = replace(CALL, call_serial_number=up.call.call_serial_number)
    assert replace(up.call, tx_connect_speed_bps=CALL.tx_connect_speed_bps) == expected
    assert hidden_types(network, LAC) == {21, 22, 30, 31, 32, 33, 37}
    wire = b"".join(data for *_, data in network.carried)
    for secret in (b"5550100", b"alice", b"blue", bytes(range(16, 32))):
        assert secret not in wire


@pytest.mark.rfc2661("4.3-secret")
def test_nothing_is_hidden_without_a_secret_or_without_a_wish() -> None:
    network, *_ = call(lac={"hidden_avps": frozenset()})
    assert hidden_types(network, LAC) == set()
    network, _, lns = call(lac={"secret": None}, lns={"secret": None})
    assert hidden_types(network, LAC) == set()
    assert lns.of(SessionEstablished)


def test_everything_that_may_be_hidden_can_be() -> None:
    network, lac, lns = call(lac={"hidden_avps": ALL}, lns={"hidden_avps": ALL})
    assert lac.of(TunnelEstablished)[0].authenticated
    assert lns.of(SessionEstablished)[0].call.calling_number == "5550100"
    # The ids, the challenge and its response, the capabilities: a SCCRQ says only who asks.
    assert {3, 4, 9, 11, 13, 14, 15, 19, 24} <= hidden_types(network, LAC)
    assert {9, 11, 13, 14} <= hidden_types(network, LNS)


def test_a_secret_of_the_peers_host_name_reveals_its_first_message() -> None:
    _, _, lns = call(
        lac={"hidden_avps": ALL}, lns={"secret": b"another", "secrets": {"lac": SECRET}}
    )
    assert lns.of(SessionEstablished)


def test_another_secret_ends_the_tunnel() -> None:
    network, lac, _ = call(lac={"hidden_avps": frozenset({int(AvpType.CHALLENGE)})}, lns={
        "secret": b"another"
    })  # fmt: skip
    network.run(100)
    assert lac.of(TunnelClosed)
    assert not lac.of(TunnelEstablished)


@pytest.mark.rfc2661("4.3-vector-first")
def test_each_message_has_a_random_vector_of_its_own_before_what_it_hides() -> None:
    network, *_ = call(lac={"hidden_avps": ALL})
    vectors = []
    for _, sender, _, data in network.carried:
        if sender != LAC or len(data) == CONTROL_HEADER_SIZE:
            continue
        avps, _ = split_avps(data[CONTROL_HEADER_SIZE:])
        types = [raw.type for raw in avps]
        if any(raw.hidden for raw in avps):
            assert types.count(36) == 1
            assert types.index(36) < min(i for i, raw in enumerate(avps) if raw.hidden)
            vectors.append(avps[types.index(36)].value)
    assert len(vectors) >= 3
    assert len(set(vectors)) == len(vectors)
    assert {len(vector) for vector in vectors} == {16}


@pytest.mark.rfc2661("4.3-padding")
def test_the_length_of_what_is_hidden_is_hidden_too() -> None:
    network, *_ = call()
    lengths = {
        len(raw.value)
        for *_, data in network.carried
        for raw in split_avps(data[CONTROL_HEADER_SIZE:])[0]
        if raw.hidden
    }
    assert all(length % 16 == 0 for length in lengths)


def test_a_peer_is_not_challenged_where_that_is_switched_off() -> None:
    network, lac, lns = call(lac={"challenges": False})
    assert not lac.of(TunnelEstablished)[0].authenticated
    assert lns.of(TunnelEstablished)[0].authenticated
    challenges = [
        sender
        for _, sender, _, data in network.carried
        if any(raw.type == 11 for raw in split_avps(data[CONTROL_HEADER_SIZE:])[0])
    ]
    assert challenges == [LNS]


@pytest.mark.parametrize("avp_type", [AvpType.HOST_NAME, AvpType.RANDOM_VECTOR, 20, 9999])
def test_what_may_not_be_hidden_is_refused_at_once(avp_type: int) -> None:
    with pytest.raises(LocalProtocolError, match="none that may be hidden"):
        Endpoint(lac_config(hidden_avps=frozenset({int(avp_type)})), random=Random(1))


def test_a_hidden_message_can_be_read_with_the_secret_only() -> None:
    network, *_ = call()
    icrq = next(data for *_, data in network.carried if b"\x00\x00\x00\x0a" in data[12:20])
    assert decode_message(icrq[12:], secret=SECRET).calling_number == "5550100"  # type: ignore[attr-defined]


VECTOR = bytes(range(16))


def hidden(avp_type: int, value: bytes, secret: bytes, *, mandatory: bool = True) -> bytes:
    """A Random Vector, and an AVP that it hides."""
    octets = hide(avp_type, value, secret=secret, random_vector=VECTOR)
    return encode_avp(AvpType.RANDOM_VECTOR, VECTOR, mandatory=True) + encode_avp(
        avp_type, octets, mandatory=mandatory, hidden=True
    )


@pytest.mark.rfc2661("4.3-chain")
def test_what_another_secret_hid_names_the_section_on_hiding() -> None:
    body = encode_message(icrq()) + hidden(AvpType.CALLED_NUMBER, b"555", b"another")
    with pytest.raises(MessageError, match="Called Number") as caught:
        decode_message(body, secret=SECRET)
    assert caught.value.section == "§4.3"
    # A value that was revealed and is wrong in itself names its own.
    body = encode_message(icrq()) + hidden(AvpType.BEARER_TYPE, b"555", SECRET)
    with pytest.raises(MessageError, match="Bearer Type") as caught:
        decode_message(body, secret=SECRET)
    assert caught.value.section == "§4.4.4"


@pytest.mark.rfc2661("4.4.3-stop-id")
@pytest.mark.parametrize(("secret", "is_read"), [(SECRET, True), (b"another", False)])
def test_an_early_stopccn_that_hides_its_id_is_read_with_its_tunnels_secret(
    secret: bytes, is_read: bool
) -> None:
    peer = ScriptedPeer(lns_config(secrets={"peer": SECRET}, challenges=False))
    peer.say(sccrq(), tunnel_id=0)
    stop = bytes.fromhex("8008 0000 0000 0004 8008 0000 0001 0006")
    stop += hidden(AvpType.ASSIGNED_TUNNEL_ID, PEER_TUNNEL_ID.to_bytes(2, "big"), secret)
    peer.body(stop, tunnel_id=0)
    if not is_read:
        (dropped,) = peer.of(DatagramDropped)
        assert "nobody to answer" in dropped.cause
        return
    (closed,) = peer.of(TunnelClosed)
    assert (closed.by_peer, closed.result_code) == (True, 6)
    # It comes again where its acknowledgement was lost, and is acknowledged again.
    peer.pass_time(1)
    peer.headers.clear()
    peer.ns -= 1
    peer.body(stop, tunnel_id=0)
    peer.pass_time(1)
    assert [(header.length, header.nr) for header in peer.headers] == [(CONTROL_HEADER_SIZE, 2)]
