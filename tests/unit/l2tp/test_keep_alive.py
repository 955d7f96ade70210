"""HELLO after silence of control and of data (RFC 2661 §5.5)."""

from random import Random

from l2tp.endpoint import Endpoint
from l2tp.events import MessageSent
from tests.support.memory_network import LAC, LNS, MemoryNetwork, Node, lac_config, lns_config


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


def test_a_hello_follows_silence() -> None:
    traffic = Traffic()
    traffic.network.run(59)
    assert traffic.hellos() == 0
    assert traffic.asked == []
    traffic.network.run(2)
    assert traffic.hellos() == 1
    assert traffic.asked == [traffic.tunnel]


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
