"""What RFC 2661 asks for of whole exchanges, seen on the wire between two endpoints."""

from __future__ import annotations

import socket

import pytest

from l2tp.kernel.udp import open_udp_socket
from l2tp.protocol.avp import AVP_TABLE, split_avps
from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import AvpType, Bearer, MessageType
from l2tp.protocol.endpoint import Address, CallParameters
from l2tp.protocol.events import CallRequested, MessageSent, SessionEstablished
from l2tp.protocol.header import ControlHeader, decode_header
from l2tp.protocol.parameters import EndpointConfig
from tests.support.memory_network import LAC, LNS, MemoryNetwork, lac_config, lns_config
from tests.support.sample_messages import full_messages, hidden_bodies

EXTENSIONS = (MessageType.CSUN, MessageType.CSURQ)


@pytest.fixture
def exchange():
    """A tunnel with a call from its beginning to its end, and a HELLO between."""
    network = MemoryNetwork()
    lac = network.add(LAC, lac_config(hello_interval_s=5.0), seed=1)
    lns = network.add(LNS, lns_config(), seed=2)

    def accept(event, now):
        if isinstance(event, CallRequested):
            lns.endpoint.accept_call(event.local_tunnel_id, event.local_session_id, now)

    lns.on_event = accept
    tunnel = lac.endpoint.open_tunnel(LNS, network.now)
    lac.endpoint.place_call(tunnel, network.now, CallParameters(called_number="5"))
    network.run(7)
    assert lns.of(SessionEstablished)
    lac.endpoint.close_tunnel(tunnel, network.now)
    network.run(60)
    return network, lac, lns


def sent(network):
    """Every header with its AVPs, in the order of the wire."""
    for _, _, _, data in network.carried:
        header = decode_header(data)
        assert isinstance(header, ControlHeader)
        yield header, split_avps(data[12 : header.length])[0]


@pytest.mark.rfc2661("4.4.1-m-bit", "4.4.1-first")
def test_every_message_of_the_rfc_begins_with_a_mandatory_message_type():
    for kind, message in full_messages().items():
        first = split_avps(encode_message(message))[0][0]
        assert (first.type, first.value) == (AvpType.MESSAGE_TYPE, kind.to_bytes(2, "big"))
        assert first.mandatory == (kind not in EXTENSIONS)
        assert not first.hidden


@pytest.mark.rfc2661("4.2-new-avps")
def test_no_avp_beyond_the_rfc_is_mandatory():
    beyond = [rule for rule in AVP_TABLE if not rule.section.startswith("§")]
    assert beyond
    assert not any(rule.mandatory_bit for rule in beyond)


@pytest.mark.rfc2661("4.3-vector-first", "4.3-vector-shared", "4.4.1-bits")
def test_a_random_vector_comes_before_what_is_hidden_and_once():
    for kind, body in hidden_bodies().items():
        avps, broken = split_avps(body)
        assert broken is None
        hidden = [place for place, avp in enumerate(avps) if avp.hidden]
        vectors = [place for place, avp in enumerate(avps) if avp.type == AvpType.RANDOM_VECTOR]
        assert len(vectors) == bool(hidden), kind
        assert not hidden or vectors[0] < hidden[0]
        may = {int(rule.type) for rule in AVP_TABLE if rule.may_hide}
        assert {avps[place].type for place in hidden} <= may


@pytest.mark.rfc2661("4.3-secret")
def test_nothing_is_hidden_without_a_secret(exchange):
    network, _, _ = exchange
    assert not any(avp.hidden for _, avps in sent(network) for avp in avps)


@pytest.mark.rfc2661("4.4.3-bearer")
def test_a_lac_that_dials_advertises_its_bearers():
    network = MemoryNetwork()
    network.add(LNS, lac_config(accepts_outgoing_calls=True, accepts_tunnels=True))
    lns = network.add(LAC, lns_config(), seed=2)
    lns.endpoint.open_tunnel(LNS, network.now)
    network.run(1)
    (reply,) = [one.message for one in network.nodes[LNS].of(MessageSent) if one.name == "SCCRP"]
    assert reply.bearer_capabilities == Bearer.DIGITAL | Bearer.ANALOG


@pytest.mark.rfc2661("5.0-order")
def test_a_call_waits_for_its_tunnel(exchange):
    _, lac, _ = exchange
    names = [one.name for one in lac.of(MessageSent) if one.name != "ZLB"]
    assert names[:3] == ["SCCRQ", "SCCCN", "ICRQ"]


@pytest.mark.rfc2661("5.7-stop")
def test_a_stopccn_speaks_for_the_sessions(exchange):
    _, lac, lns = exchange
    names = {one.name for node in (lac, lns) for one in node.of(MessageSent)}
    assert "StopCCN" in names
    assert "CDN" not in names


@pytest.mark.rfc2661("6.5-session-zero", "5.5-hello")
def test_a_hello_is_of_no_session(exchange):
    network, _, _ = exchange
    hellos = [
        header
        for header, avps in sent(network)
        if avps and avps[0].value == MessageType.HELLO.to_bytes(2, "big")
    ]
    assert hellos
    assert {header.session_id for header in hellos} == {0}


@pytest.mark.rfc2661("5.8-cap", "5.8-give-up", "5.5-hello")
def test_timers_are_the_rfcs_unless_configured_otherwise():
    config = EndpointConfig(host_name="lac")
    assert config.retransmission_initial_s == 1
    assert config.retransmission_cap_s >= 8
    assert config.maximum_retransmissions == 5
    assert config.hello_interval_s == 60


@pytest.mark.rfc2661("8.1-checksums")
def test_datagrams_are_sent_with_a_checksum():
    # SO_NO_CHECK of include/uapi/asm-generic/socket.h, which the socket module lacks.
    with open_udp_socket(Address("127.0.0.1", 0)) as udp:
        assert udp.getsockopt(socket.SOL_SOCKET, 11) == 0
