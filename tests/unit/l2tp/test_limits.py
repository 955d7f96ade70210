"""What peers may use of an endpoint, and what a flood of requests can and cannot do."""

from random import Random

import pytest

from l2tp.protocol.codec import encode_message
from l2tp.protocol.endpoint import Address, Endpoint
from l2tp.protocol.events import (
    CallRequested,
    DatagramDropped,
    DropReason,
    MessageSent,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
)
from l2tp.protocol.header import encode_control
from l2tp.protocol.limits import Census, Limits, Throttle, network_of
from l2tp.protocol.messages import HELLO
from l2tp.protocol.parameters import CallParameters
from tests.support.memory_network import LAC, LNS, MemoryNetwork, lac_config, lns_config
from tests.support.scripted_peer import PEER, ScriptedPeer, icrq, sccrq

LIMITS = Limits(
    maximum_tunnels_per_peer=4, maximum_half_open_tunnels=8, maximum_half_open_tunnels_per_peer=3
)


def request(tunnel_id):
    return encode_control(0, 0, 0, 0, encode_message(sccrq(assigned_tunnel_id=tunnel_id)))


def hosts(count):
    """So many invented addresses."""
    return [Address(f"10.{n >> 8 & 255}.{n & 255}.1", 1701) for n in range(count)]


def established_pair(limits):
    network = MemoryNetwork()
    lac = network.add(LAC, lac_config(hello_interval_s=20.0))
    lns = network.add(LNS, lns_config(limits=limits), seed=2)

    def answer(event, now):
        if isinstance(event, CallRequested):
            lns.endpoint.accept_call(event.local_tunnel_id, event.local_session_id, now)

    lns.on_event = answer
    tunnel = lac.endpoint.open_tunnel(LNS, network.now)
    network.run(1)
    assert lns.of(TunnelEstablished)
    return network, lac, lns, tunnel


def test_a_flood_costs_bounded_memory_and_leaves_established_tunnels_alone():
    network, lac, lns, tunnel = established_pair(LIMITS)
    for number, host in enumerate(hosts(5000), 1):
        network.inject(host, LNS, request(number))
    network.run(0.5)
    # The established one and the half-open ones: nothing else is kept.
    assert len(lns.endpoint._tunnels.by_id) == 1 + LIMITS.maximum_half_open_tunnels
    assert lns.endpoint.dropped[DropReason.TOO_MANY_HALF_OPEN] == 5000 - 8
    answered = {event.peer for event in lns.of(MessageSent) if event.name == "SCCRP"}
    assert len(answered - {LAC}) == 8
    # The established tunnel works: a call goes through in the middle of it, and HELLOs do after.
    lac.endpoint.place_call(tunnel, network.now, CallParameters())
    network.run(60)
    assert len(lac.of(SessionEstablished)) == len(lns.of(SessionEstablished)) == 1
    assert not lac.of(TunnelClosed)
    # The invented peers never complete anything: they are given up, and there is room again.
    network.run(60)
    assert len(lns.endpoint._tunnels.by_id) == 1
    network.inject(Address("203.0.113.77", 1701), LNS, request(1))
    network.run(0.5)
    assert len(lns.endpoint._tunnels.by_id) == 2


def test_one_host_does_not_use_up_what_all_may_have_together():
    endpoint = Endpoint(lns_config(limits=LIMITS), random=Random(1))
    for number in range(1, 7):
        endpoint.receive_datagram(request(number), Address(PEER.host, 2000 + number), 1.0)
    assert endpoint.dropped[DropReason.TOO_MANY_HALF_OPEN] == 3
    endpoint.receive_datagram(request(1), Address("192.0.2.99", 1701), 1.0)
    assert len(endpoint._tunnels.by_id) == 4


def test_an_ipv6_host_is_known_by_its_network():
    endpoint = Endpoint(lns_config(limits=LIMITS), random=Random(1))
    for number in range(1, 7):
        endpoint.receive_datagram(request(number), Address(f"2001:db8::{number}:1", 1701), 1.0)
    assert len(endpoint._tunnels.by_id) == 3
    endpoint.receive_datagram(request(1), Address("2001:db8:0:1::1", 1701), 1.0)
    assert len(endpoint._tunnels.by_id) == 4


def test_one_tunnel_too_many_of_a_peer_is_refused_by_name():
    peer = ScriptedPeer(lns_config(limits=Limits(maximum_tunnels_per_peer=1)))
    peer.established()
    peer.names()
    peer.ns = peer.nr = 0
    peer.say(sccrq(assigned_tunnel_id=9), tunnel_id=0)
    (stop,) = peer.said
    assert stop.name == "StopCCN"
    assert (stop.result_code.result, stop.result_code.error) == (2, 4)
    # Closed ones are kept for their retention, but only as many again.
    peer.ns = peer.nr = 0
    peer.say(sccrq(assigned_tunnel_id=10), tunnel_id=0)
    assert peer.endpoint.dropped[DropReason.TOO_MANY_TUNNELS] == 1


def test_sessions_of_a_peer_are_counted_over_its_tunnels():
    limits = Limits(maximum_sessions_per_peer=2)
    peer = ScriptedPeer(lns_config(limits=limits))
    peer.established()
    for number in (1, 2, 3):
        peer.say(icrq(assigned_session_id=number))
    (closed,) = peer.of(SessionClosed)
    assert (closed.result_code, closed.message) == (4, "too many sessions of this peer")
    assert len(peer.of(CallRequested)) == 2


def test_messages_beyond_the_rate_are_dropped_and_counted():
    endpoint = Endpoint(lns_config(limits=Limits(messages_per_s_per_peer=5)), random=Random(1))
    stray = encode_control(77, 0, 0, 0, encode_message(HELLO()))
    for _ in range(30):
        endpoint.receive_datagram(stray, PEER, 1.0)
    assert endpoint.dropped[DropReason.UNKNOWN_TUNNEL] == 10
    assert endpoint.dropped[DropReason.TOO_MANY_MESSAGES] == 20
    endpoint.receive_datagram(stray, PEER, 1.5)
    endpoint.receive_datagram(stray, Address("192.0.2.4", 1), 1.0)
    assert endpoint.dropped[DropReason.UNKNOWN_TUNNEL] == 12


def test_who_forges_a_peers_host_does_not_use_up_its_messages():
    limits = Limits(messages_per_s_per_peer=10)
    network, lac, lns, tunnel = established_pair(limits)
    (opened,) = lns.of(TunnelEstablished)
    hello = encode_control(opened.local_tunnel_id, 0, 9, 1, encode_message(HELLO()))
    for number in range(500):
        forged = hello if number % 2 else request(number + 1)
        network.inject(Address(LAC.host, 4000 + number), LNS, forged)
    lac.endpoint.place_call(tunnel, network.now, CallParameters())
    network.run(0.2)
    assert lns.endpoint.dropped[DropReason.TOO_MANY_MESSAGES] > 400
    assert len(lns.of(SessionEstablished)) == 1


def test_a_stranger_on_a_tunnel_is_dropped_and_counted():
    network, _, lns, _ = established_pair(Limits())
    (opened,) = lns.of(TunnelEstablished)
    hello = encode_control(opened.local_tunnel_id, 0, 2, 1, encode_message(HELLO()))
    network.inject(Address(LAC.host, 9), LNS, hello)
    network.inject(Address("203.0.113.8", 1701), LNS, hello)
    network.run(1)
    assert lns.endpoint.dropped[DropReason.WRONG_SOURCE] == 2
    assert {e.local_tunnel_id for e in lns.of(DatagramDropped)} == {opened.local_tunnel_id}


def test_no_limit_is_no_limit():
    none = Limits(
        maximum_tunnels_per_peer=0,
        maximum_half_open_tunnels=0,
        maximum_half_open_tunnels_per_peer=0,
        maximum_sessions_per_peer=0,
    )
    endpoint = Endpoint(lns_config(limits=none), random=Random(1))
    for number in range(1, 501):
        endpoint.receive_datagram(request(number), PEER, 1.0)
    assert len(endpoint._tunnels.by_id) == 500
    assert not endpoint.dropped


def test_the_rate_comes_back_with_time_and_what_is_remembered_is_bounded():
    throttle = Throttle(remembered=2)
    assert [throttle.admits("a", 1, 0.0) for _ in range(3)] == [True, True, False]
    assert throttle.admits("a", 1, 1.0)
    assert not throttle.admits("a", 1, 1.5)
    for sender in "bcd":
        assert throttle.admits(sender, 1, 1.5)
    assert len(throttle._allowances) == 2


def test_the_census_ends_where_it_began():
    census = Census()
    census.add(1, "192.0.2.1", half_open=True)
    census.add(2, "192.0.2.1", half_open=False)
    assert (census.open, census.half_open) == (2, 1)
    census.complete(1)
    census.complete(1)
    assert (census.open, census.half_open) == (2, 0)
    census.close(1)
    census.close(1)
    assert (census.open, census.tunnels_of("192.0.2.1")) == (1, {1, 2})
    census.remove(1)
    census.remove(2)
    assert (census.open, census.half_open, census.tunnels_of("192.0.2.1")) == (0, 0, set())
    assert not census._by_network


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::7", "2001:db8::/64"),
        ("fe80::1%up0", "fe80::/64"),
    ],
)
def test_what_tells_peers_apart(host, network):
    assert network_of(host) == network
