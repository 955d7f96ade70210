"""The daemon's UDP sockets over loopback: who is heard on which, and who speaks for whom."""

import asyncio
import errno
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from l2tp.daemon import sockets
from l2tp.daemon.sockets import UdpSockets
from l2tp.kernel.udp import open_udp_socket, seclude_udp_socket
from l2tp.protocol.parameters import Address, Datagram

HOST = "127.0.0.1"
DEADLINE_S = 30


def address_of(udp):
    return Address(*udp.getsockname()[:2])


class World:
    """The sockets, two peers, and what arrived: data, source, tunnel, local address."""

    def __init__(self):
        self.arrived = []
        self.news = asyncio.Event()
        self.sockets = UdpSockets(
            asyncio.get_running_loop(),
            receive=self._receive,
            note_error=lambda number, report: None,
            done=self.news.set,
        )
        self.listener = open_udp_socket((HOST, 0))
        self.here = address_of(self.listener)
        self.sockets.listen(self.listener)
        self.peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for peer in self.peers:
            peer.bind((HOST, 0))
            peer.settimeout(DEADLINE_S)
        self.peer, self.stranger = self.peers

    def _receive(self, data, source, number, local):
        self.arrived.append((data, source, number, local))

    async def hear(self, count):
        async with asyncio.timeout(DEADLINE_S):
            while len(self.arrived) < count:
                self.news.clear()
                await self.news.wait()

    def close(self):
        self.sockets.close_all()
        for peer in self.peers:
            peer.close()


def run(scenario):
    async def whole():
        world = World()
        try:
            await scenario(world)
        finally:
            world.close()

    asyncio.run(whole())


def test_who_races_the_connect_is_not_taken_for_the_peer():
    async def scenario(world):
        # As on the calling side: bound, and connected only when the peer has answered.
        udp = open_udp_socket((HOST, 0))
        local, peer = address_of(udp), address_of(world.peer)
        world.sockets.adopt(7, udp, None)
        world.stranger.sendto(b"early", local)
        world.peer.sendto(b"answer", local)
        # Both are in the socket's queue when it is connected, before anything was read.
        world.sockets.connect(7, peer)
        world.stranger.sendto(b"late", local)
        world.peer.sendto(b"again", local)
        await world.hear(3)
        assert world.arrived == [
            (b"early", address_of(world.stranger), None, local),
            (b"answer", peer, 7, local),
            (b"again", peer, 7, local),
        ]

    run(scenario)


def test_the_answering_side_keeps_what_came_to_the_listener_first():
    async def scenario(world):
        peer = address_of(world.peer)
        world.peer.sendto(b"request", world.here)
        world.peer.sendto(b"and its repetition", world.here)
        world.sockets.open(7, world.here, peer)
        world.peer.sendto(b"next", world.here)
        world.stranger.sendto(b"other", world.here)
        await world.hear(4)
        assert sorted((data, number) for data, _, number, _ in world.arrived) == [
            (b"and its repetition", None),
            (b"next", 7),
            (b"other", None),
            (b"request", None),
        ]

    run(scenario)


def test_a_refusal_leaves_by_the_listener_that_was_asked():
    async def scenario(world):
        other = open_udp_socket((HOST, 0))
        there = address_of(other)
        world.sockets.listen(other)
        assert world.sockets.listening == (world.here, there)
        peer = address_of(world.peer)
        world.sockets.answer_from(9, there)
        world.sockets.send(Datagram(9, peer, b"no"))
        assert world.peer.recvfrom(99) == (b"no", there)
        # Nobody speaks for a tunnel that is not known.
        world.sockets.send(Datagram(10, peer, b"lost"))
        world.sockets.close(9)
        world.sockets.send(Datagram(9, peer, b"lost"))
        world.sockets.answer_from(9, world.here)
        world.sockets.send(Datagram(9, peer, b"yes"))
        assert world.peer.recvfrom(99) == (b"yes", world.here)

    run(scenario)


@pytest.mark.parametrize("first", ["closed", "opened"])
def test_a_spare_socket_gives_way_to_a_tunnel_between_the_same_ends(first):
    async def scenario(world):
        udp = open_udp_socket((HOST, 0))
        local, peer = address_of(udp), address_of(world.peer)
        world.sockets.adopt(1, udp, None)
        world.sockets.connect(1, peer)
        if first == "closed":
            world.sockets.renew(1)
            assert world.sockets.find(1).spare
        world.sockets.open(2, local, peer)
        if first == "opened":
            world.sockets.renew(1)
        # One socket is left, which is not spare: the driver's. It has the last words too.
        assert world.sockets.find(1) is None
        assert len(world.sockets.between(local, peer)) == 1
        world.sockets.send(Datagram(1, peer, b"bye"))
        assert world.peer.recvfrom(99) == (b"bye", local)
        world.sockets.close(2)
        world.sockets.send(Datagram(1, peer, b"lost"))

    run(scenario)


@pytest.mark.parametrize("speaks", ["a spare socket", "the listener"])
def test_what_the_peer_said_last_outlives_the_drivers_socket(speaks):
    async def scenario(world):
        peer = address_of(world.peer)
        local = world.here if speaks == "the listener" else (HOST, 0)
        world.sockets.open(1, local, peer)
        local = world.sockets.find(1).local
        # Both ends close at once: its words are in the queue of the socket that we close.
        world.peer.sendto(b"CDN", local)
        world.peer.sendto(b"StopCCN", local)
        world.sockets.renew(1)
        world.peer.sendto(b"ZLB", local)
        await world.hear(3)
        arrived = {data: (number, where) for data, _, number, where in world.arrived}
        after = None if speaks == "the listener" else 1
        assert arrived == {b"CDN": (1, local), b"StopCCN": (1, local), b"ZLB": (after, local)}

    run(scenario)


def test_more_than_a_turns_worth_outlives_it_too():
    async def scenario(world):
        world.sockets.open(1, (HOST, 0), address_of(world.peer))
        local = world.sockets.find(1).local
        for number in range(100):
            world.peer.sendto(str(number).encode(), local)
        world.sockets.renew(1)
        await world.hear(100)
        assert [data for data, *_ in world.arrived] == [str(n).encode() for n in range(100)]

    run(scenario)


def test_what_comes_while_it_closes_is_not_lost():
    async def scenario(world):
        peer, rounds, words = address_of(world.peer), 200, 20
        with ThreadPoolExecutor(1) as talker:
            for number in range(1, rounds + 1):
                world.sockets.open(number, world.here, peer)
                talk = talker.submit(say, world.peer, number, words, world.here)
                while not talk.running() and not talk.done():
                    pass
                world.sockets.renew(number)
                talk.result()
                await world.hear(number * words)
                world.sockets.close(number)
        assert len({data for data, *_ in world.arrived}) == rounds * words

    def say(peer, number, words, local):
        for word in range(words):
            peer.sendto(f"{number}.{word}".encode(), local)

    run(scenario)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_secluded_socket_keeps_what_it_has_and_gets_nothing_more(host):
    with open_udp_socket((host, 0)) as peer, open_udp_socket((host, 0)) as listener:
        here = address_of(listener)
        with open_udp_socket(here, address_of(peer)) as connected:
            peer.sendto(b"before", here)
            seclude_udp_socket(connected)
            peer.sendto(b"after", here)
            assert (connected.recv(99), listener.recv(99)) == (b"before", b"after")
            with pytest.raises(BlockingIOError):
                connected.recv(99)


def test_who_spoke_for_another_tunnel_hands_that_on():
    async def scenario(world):
        udp = open_udp_socket((HOST, 0))
        local, peer = address_of(udp), address_of(world.peer)
        world.sockets.adopt(1, udp, None)
        world.sockets.connect(1, peer)
        world.sockets.open(2, local, peer)
        world.sockets.renew(1)  # 2's socket has the same ends
        world.sockets.renew(2)  # and goes as well
        for number in (1, 2):
            world.sockets.send(Datagram(number, peer, b"bye"))
            assert world.peer.recvfrom(99) == (b"bye", local)

    run(scenario)


def test_a_tunnel_that_closes_needs_no_descriptor_more(monkeypatch):
    async def scenario(world):
        world.sockets.open(1, (HOST, 0), address_of(world.peer))
        local, opened = world.sockets.find(1).local, []

        def full(*ends):
            opened.append(ends)
            if len(opened) == 1:
                raise OSError(errno.EMFILE, "Too many open files")
            return open_udp_socket(*ends)

        monkeypatch.setattr(sockets, "open_udp_socket", full)
        world.peer.sendto(b"StopCCN", local)
        world.sockets.renew(1)
        await world.hear(1)
        assert world.sockets.find(1).local == local and len(opened) == 2

    run(scenario)
