"""HELLO after silence of control and of data (RFC 2661 §5.5)."""

from random import Random

import pytest

from l2tp.protocol.endpoint import CallParameters, Endpoint
from l2tp.protocol.events import MessageSent, TunnelClosed
from l2tp.protocol.header import encode_control
from tests.support.memory_network import LAC, LNS, MemoryNetwork, Node, lac_config, lns_config
from tests.support.scripted_peer import ScriptedPeer


class Traffic:
    """A tunnel that is quiet but for data messages, which the test counts up."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.count = 0
        self.asked: list[int] = []
        self.lac: Node = self.network.add(LAC, lac_config(hello_interval_s=60))
        self.lac.endpoint = Endpoint(
            lac_config(hello_interval_s=60), random=Random(1), received_data=self._received
        )
        self.network.add(LNS, lns_config(hello_interval_s=0), 2)
        self.tunnel = self.lac.endpoint.open_tunnel(LNS, self.network.now)

    def _received(self, local_tunnel_id: int) -> int:
        self.asked.append(local_tunnel_id)
        return self.count

    def hellos(self) -> int:
        return [event.name for event in self.lac.of(MessageSent)].count("HELLO")


@pytest.mark.rfc2661("5.5-hello")
def test_a_hello_follows_silence() -> None:
    traffic = Traffic()
    traffic.network.run(59)
    assert traffic.hellos() == 0
    assert traffic.asked == []
    traffic.network.run(2)
    assert traffic.hellos() == 1
    assert traffic.asked == [traffic.tunnel]


@pytest.mark.rfc2661("5.5-data")
def test_data_puts_the_hello_off() -> None:
    traffic = Traffic()
    for _ in range(5):
        traffic.network.run(60)
        traffic.count += 1
    assert traffic.hellos() == 0
    assert len(traffic.asked) <= 5
    # The data ends: what was counted last is noticed once more, then silence is.
    traffic.network.run(50)
    assert traffic.hellos() == 0
    traffic.network.run(20)
    assert traffic.hellos() == 1


def gone_after(**changes: object) -> float:
    """How long a LAC takes to give up an LNS that vanishes while both are quiet."""
    network = MemoryNetwork()
    lac = network.add(LAC, lac_config(hello_interval_s=10, **changes))
    network.add(LNS, lns_config(hello_interval_s=0), 2)
    lac.endpoint.open_tunnel(LNS, network.now)
    network.run(1)
    del network.nodes[LNS]
    start = network.now
    while not lac.of(TunnelClosed):
        network.run(0.5)
        assert network.now < start + 1000
    assert "no answer" in lac.of(TunnelClosed)[0].cause
    return network.now - start


def test_a_dead_peer_is_given_up_when_retransmissions_are_exhausted() -> None:
    # 10 s of silence before the HELLO, then 1 + 2 + 4 + 8 + 8 + 8 s.
    assert 39 < gone_after() < 41.5
    assert 11 < gone_after(maximum_retransmissions=1, retransmission_cap_s=1) < 13.5


def test_a_dead_peer_is_given_up_after_the_dead_time_if_that_is_shorter() -> None:
    assert 16 < gone_after(dead_time_s=7) < 18.5
    assert 39 < gone_after(dead_time_s=300) < 41.5


def test_a_peer_that_was_never_heard_has_the_time_of_a_set_up() -> None:
    network = MemoryNetwork()
    lac = network.add(LAC, lac_config(dead_time_s=5, tunnel_setup_timeout_s=30))
    lac.endpoint.open_tunnel(LNS, network.now)
    network.run(25)
    assert not lac.of(TunnelClosed)
    network.run(10)
    assert lac.of(TunnelClosed)


def test_the_dead_time_counts_from_the_last_sign_of_life() -> None:
    peer = ScriptedPeer(lns_config(dead_time_s=5, hello_interval_s=0))
    tunnel = peer.established()
    peer.zlb()
    peer.endpoint.place_call(tunnel, peer.now, CallParameters())
    peer.collect()
    for _ in range(3):
        # It acknowledges nothing, but it lives.
        peer.pass_time(4)
        peer.raw(encode_control(tunnel, 0, peer.ns, peer.nr - 1))
    assert not peer.of(TunnelClosed)
    peer.pass_time(5.5)
    assert peer.of(TunnelClosed)
