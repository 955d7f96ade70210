"""Reliable delivery of control messages (RFC 2661 §5.8, appendix A), with no idea of their meaning.

Messages are queued with `send`, leave through `transmissions`, and come in through `receive`. One
deadline covers retransmission and delayed acknowledgement.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Generic, NamedTuple, TypeVar

from l2tp.protocol.constants import DEFAULT_RECEIVE_WINDOW, SEQUENCE_MODULUS

S = TypeVar("S")
R = TypeVar("R")

_MASK: Final = SEQUENCE_MODULUS - 1
_HALF: Final = SEQUENCE_MODULUS // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTimers:
    """Timers in seconds: first retransmission, its cap, how often, and the delay of a ZLB."""

    retransmission_initial_s: float
    retransmission_cap_s: float
    maximum_retransmissions: int
    acknowledgement_delay_s: float

    def timeout_s(self, transmissions: int) -> float:
        """How long to wait after this many transmissions: doubled each time, capped (§5.8)."""
        doubled = self.retransmission_initial_s * float(1 << min(transmissions - 1, 62))
        return min(doubled, self.retransmission_cap_s)


class Verdict(Enum):
    """What became of a received message."""

    ACCEPTED = auto()
    ACKNOWLEDGEMENT = auto()
    HELD = auto()
    DUPLICATE = auto()
    OUTSIDE_WINDOW = auto()
    UNSENT_ACKNOWLEDGED = auto()


class Transmission(NamedTuple, Generic[S]):
    """One thing to put on the wire now; `item` is None for a ZLB, `attempt` 1 the first time."""

    item: S | None
    ns: int
    nr: int
    attempt: int


class _Queued(Generic[S]):
    __slots__ = ("count", "first_sent_at", "item", "sent_at")

    def __init__(self, item: S) -> None:
        self.item = item
        self.count = 0
        self.sent_at = 0.0
        self.first_sent_at = 0.0


class Channel(Generic[S, R]):
    """Both directions of one control connection: it queues and sends `S`, and gives back `R`.

    `receive_window` is what we advertise (messages, uint16). After `is_dead`, the peer has not
    acknowledged a message through every retransmission and nothing more is sent.
    """

    __slots__ = (
        "_ack_at",
        "_base",
        "_grown",
        "_held",
        "_in_flight",
        "_owed",
        "_peer_window",
        "_prompt",
        "_queue",
        "_receive_window",
        "_sent",
        "_stopped",
        "_threshold",
        "_timers",
        "_window",
        "is_dead",
        "nr",
    )

    def __init__(self, timers: ChannelTimers, *, receive_window: int) -> None:
        self._timers = timers
        self._receive_window = receive_window
        # Sending. The queue's head has Ns = _base; its first _sent entries have left at least
        # once, its first _in_flight ones are believed to be under way now.
        self._queue: deque[_Queued[S]] = deque()
        self._base = 0
        self._sent = 0
        self._in_flight = 0
        self._peer_window = DEFAULT_RECEIVE_WINDOW
        self._window = 1
        self._threshold = DEFAULT_RECEIVE_WINDOW
        self._grown = 0
        self._stopped = False
        self.is_dead = False
        # Receiving.
        self.nr = 0
        self._held: dict[int, R] = {}
        self._owed = 0
        self._ack_at: float | None = None
        self._prompt = False

    @property
    def unacknowledged(self) -> S | None:
        """The oldest message that was sent and not acknowledged."""
        return self._queue[0].item if self._sent else None

    @property
    def retransmissions(self) -> int:
        """How often the oldest unacknowledged message was sent again."""
        return max(self._queue[0].count - 1, 0) if self._sent else 0

    @property
    def unacknowledged_since(self) -> float | None:
        """When the oldest unacknowledged message left for the first time; None without one."""
        return self._queue[0].first_sent_at if self._sent and not self._stopped else None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is queued or awaits an acknowledgement."""
        return self._stopped or not self._queue

    @property
    def waiting(self) -> int:
        """How many messages are queued or await an acknowledgement."""
        return len(self._queue)

    @property
    def congestion_window(self) -> int:
        """How many messages may be under way, before the peer's window bounds it (appendix A)."""
        return self._window

    def set_peer_window(self, size: int) -> None:
        """Adopt the peer's Receive Window Size (uint16, not 0), before slow start ends (§4.4.3)."""
        self._peer_window = size
        self._threshold = size

    def send(self, item: S) -> None:
        """Queue a message; it leaves by `transmissions` when the window has room."""
        self._queue.append(_Queued(item))

    def drop_unsent(self) -> None:
        """Forget what is queued but never left, so that its sequence numbers are free again."""
        while len(self._queue) > self._sent:
            self._queue.pop()

    def stop_sending(self) -> None:
        """Send nothing but acknowledgements from now on: the peer closed, or is gone."""
        self.drop_unsent()
        self._stopped = True
        self.acknowledge_at_once()

    def acknowledge_at_once(self) -> None:
        """Delay no acknowledgement any more: this end has said, or heard, its last message.

        There will be no message that could carry it, and the peer may wait with its own end for it.
        """
        self._prompt = True
        if self._ack_at is not None:
            self._ack_at = 0.0

    def give_up(self) -> None:
        """Take the peer for dead."""
        self.is_dead = True
        self.stop_sending()

    def receive(self, ns: int, nr: int, item: R | None, now: float) -> Verdict:
        """Take one received header and, unless it was a ZLB, its message.

        After ACCEPTED, `next_arrival` gives the message and then whatever it makes due.
        """
        acknowledged = (nr - self._base) & _MASK
        if self._sent < acknowledged < _HALF:
            # An Nr for what never left cannot be the peer's word on this channel.
            return Verdict.UNSENT_ACKNOWLEDGED
        if acknowledged <= self._sent:
            self._acknowledge(acknowledged)
        if item is None:
            # A ZLB's Ns is that of the next message, which it does not use up (§5.8).
            return Verdict.ACKNOWLEDGEMENT
        ahead = (ns - self.nr) & _MASK
        if ahead >= _HALF:
            # A duplicate MUST be acknowledged: our first acknowledgement may be lost (§5.8).
            self._ack_at = now
            return Verdict.DUPLICATE
        if ahead >= self._receive_window:
            self._ack_at = now
            return Verdict.OUTSIDE_WINDOW
        if ns in self._held:
            return Verdict.DUPLICATE
        self._held[ns] = item
        return Verdict.HELD if ahead else Verdict.ACCEPTED

    def next_arrival(self, now: float) -> tuple[int, R] | None:
        """Take the next message in order, with its Ns; None until it is there."""
        if self.nr not in self._held:
            return None
        ns = self.nr
        item = self._held.pop(ns)
        self.nr = (ns + 1) & _MASK
        self._owed += 1
        due = now + self._timers.acknowledgement_delay_s
        if self._prompt or 2 * self._owed >= self._receive_window:
            # The peer may wait with its own end, or be out of window: waiting would only stall it.
            due = now
        self._ack_at = due if self._ack_at is None else min(self._ack_at, due)
        return ns, item

    def transmissions(self, now: float) -> list[Transmission[S]]:
        """What must go on the wire at `now`; every message carries the newest Nr."""
        due: list[Transmission[S]] = []
        if not self._stopped:
            limit = min(self._window, self._peer_window, len(self._queue))
            while self._in_flight < limit:
                queued = self._queue[self._in_flight]
                ns = (self._base + self._in_flight) & _MASK
                if not queued.count:
                    queued.first_sent_at = now
                queued.count += 1
                queued.sent_at = now
                self._in_flight += 1
                self._sent = max(self._sent, self._in_flight)
                due.append(Transmission(queued.item, ns, self.nr, queued.count))
        if due:
            self._settle_acknowledgement()
        elif self._ack_at is not None and self._ack_at <= now:
            self._settle_acknowledgement()
            due.append(Transmission(None, (self._base + self._sent) & _MASK, self.nr, 1))
        return due

    def get_timer(self) -> float | None:
        """When handle_timer() is due; None when nothing is pending."""
        deadline = self._ack_at
        if self._in_flight and not self._stopped:
            head = self._queue[0]
            expiry = head.sent_at + self._timers.timeout_s(head.count)
            deadline = expiry if deadline is None else min(deadline, expiry)
        return deadline

    def handle_timer(self, now: float) -> None:
        """Act on a retransmission that is due: slow start begins anew, or `is_dead` is set."""
        if not self._in_flight or self._stopped:
            return
        head = self._queue[0]
        if now < head.sent_at + self._timers.timeout_s(head.count):
            return
        if head.count > self._timers.maximum_retransmissions:
            self.give_up()
            return
        # Half the window becomes the threshold, and one message at a time goes again (appendix A).
        self._threshold = max(min(self._window, self._peer_window) // 2, 1)
        self._window = 1
        self._grown = 0
        self._in_flight = 0

    def _acknowledge(self, count: int) -> None:
        if not count:
            return
        for _ in range(count):
            self._queue.popleft()
        self._base = (self._base + count) & _MASK
        self._sent -= count
        self._in_flight = max(self._in_flight - count, 0)
        if self._window < self._threshold:
            self._window += 1
        elif self._window < self._peer_window:
            # Congestion avoidance: 1/window for each acknowledgement, counted in whole numbers.
            self._grown += 1
            if self._grown >= self._window:
                self._window += 1
                self._grown = 0

    def _settle_acknowledgement(self) -> None:
        self._ack_at = None
        self._owed = 0
