"""Every tunnel of an endpoint by what it is found by, and what they all have to say.

Nothing here decides anything about the protocol: tunnels are made, found, counted, woken in time
and forgotten, and their datagrams and events come out in order.
"""

from __future__ import annotations

import random as random_module
from collections import Counter, deque
from collections.abc import Callable

from l2tp.protocol.deadlines import Deadlines
from l2tp.protocol.errors import LocalProtocolError
from l2tp.protocol.events import DatagramDropped, DropReason, Event, TunnelClosed, TunnelEstablished
from l2tp.protocol.ids import choose_id
from l2tp.protocol.limits import Census, Throttle, network_of
from l2tp.protocol.parameters import Address, Datagram, EndpointConfig
from l2tp.protocol.transitions import TunnelState
from l2tp.protocol.tunnel import Tunnel


class Tunnels:
    """The tunnels of one endpoint; `config` is what new ones are met with.

    `by_id` has them by local id, `by_peer_id` by the peer and its id as soon as that is known,
    `asking` those whose own SCCRQ is not answered yet.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        random: random_module.Random,
        received_data: Callable[[int], int] | None,
    ) -> None:
        self.config = config
        self.dropped: Counter[DropReason] = Counter()
        self.by_id: dict[int, Tunnel] = {}
        self.by_peer_id: dict[tuple[Address, int], Tunnel] = {}
        self.asking: dict[int, Tunnel] = {}
        self.census = Census()
        self.events: deque[Event] = deque()
        self.deadlines: Deadlines[int] = Deadlines()
        self._datagrams: list[Datagram] = []
        self._throttle = Throttle()
        self._random = random
        self._received_data = received_data
        self._serial = random.getrandbits(32)

    def add(self, peer: Address, now: float, *, initiated: bool, secret: bytes | None) -> Tunnel:
        """Make a tunnel, which has done nothing yet."""
        is_surplus = not initiated and self.census.is_full(
            peer.host, self.config.maximum_tunnels, self.config.limits
        )
        tunnel = Tunnel(
            self.config,
            local_tunnel_id=choose_id(self._random, self.by_id.__contains__),
            peer=peer,
            initiated=initiated,
            is_surplus=is_surplus,
            secret=secret,
            random=self._random,
            next_serial=self._next_serial,
            received_data=self._received_data,
            emit=self.emit,
            sessions_of_peer=self._sessions_of_peer,
            is_id_taken=self._is_id_taken,
            now=now,
        )
        self.by_id[tunnel.local_tunnel_id] = tunnel
        self.census.add(tunnel.local_tunnel_id, peer.host, half_open=not initiated)
        if initiated:
            self.asking[tunnel.local_tunnel_id] = tunnel
        return tunnel

    def find(self, local_tunnel_id: int) -> Tunnel:
        """Give the tunnel of that id; LocalProtocolError where there is none."""
        tunnel = self.by_id.get(local_tunnel_id)
        if tunnel is None:
            raise LocalProtocolError(f"there is no tunnel {local_tunnel_id}", section="§7.2")
        return tunnel

    def settle(self, tunnel: Tunnel, now: float) -> None:
        """Collect what the tunnel has to send, arm its deadline, or bury it."""
        if tunnel.state is not TunnelState.WAIT_CTL_REPLY:
            asked = self.asking.pop(tunnel.local_tunnel_id, None)
            if asked is not None and tunnel.peer_tunnel_id:
                self.by_peer_id[tunnel.peer, tunnel.peer_tunnel_id] = tunnel
        if tunnel.is_released:
            self._release(tunnel)
            return
        self._datagrams.extend(tunnel.transport.datagrams(now))
        self.deadlines.arm(tunnel.local_tunnel_id, tunnel.get_timer())

    def _release(self, tunnel: Tunnel) -> None:
        del self.by_id[tunnel.local_tunnel_id]
        self.census.remove(tunnel.local_tunnel_id)
        self.deadlines.arm(tunnel.local_tunnel_id, None)
        key = (tunnel.peer, tunnel.peer_tunnel_id)
        if self.by_peer_id.get(key) is tunnel:
            del self.by_peer_id[key]

    def take_datagrams(self) -> list[Datagram]:
        """Take what is to be sent, in order."""
        due, self._datagrams = self._datagrams, []
        return due

    def is_within_rate(self, tunnel: Tunnel | None, source: Address, now: float) -> bool:
        """Count a message against its sender: an established tunnel's peer, else its host."""
        is_the_peer = (
            tunnel is not None and tunnel.state is TunnelState.ESTABLISHED and tunnel.peer == source
        )
        sender = tunnel.local_tunnel_id if tunnel and is_the_peer else network_of(source.host)
        return self._throttle.admits(sender, self.config.limits.messages_per_s_per_peer, now)

    def emit(self, event: Event) -> None:
        """Put an event out, and count what it says."""
        if isinstance(event, DatagramDropped):
            self.dropped[event.reason] += 1
        elif isinstance(event, TunnelEstablished):
            self.census.complete(event.local_tunnel_id)
        elif isinstance(event, TunnelClosed):
            self.census.close(event.local_tunnel_id)
        self.events.append(event)

    def _sessions_of_peer(self, peer: Address) -> int:
        ids = self.census.tunnels_of(peer.host)
        return sum(len(self.by_id[number].calls.sessions) for number in ids)

    def _is_id_taken(self, tunnel: Tunnel, peer_tunnel_id: int) -> bool:
        holder = self.by_peer_id.get((tunnel.peer, peer_tunnel_id))
        if holder is None or holder is tunnel:
            return False
        return holder.state is not TunnelState.STOPPED

    def _next_serial(self) -> int:
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        return self._serial
