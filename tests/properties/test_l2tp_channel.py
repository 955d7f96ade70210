"""Two channels over a link that loses, duplicates and reorders: exactly once, in order, always."""

from heapq import heappop, heappush
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2tp.protocol.channel import Channel, ChannelTimers


def drive(
    random: Random,
    *,
    messages: tuple[int, int],
    windows: tuple[int, int],
    loss: float,
    duplication: float,
    spread_s: float,
    delay_s: float,
) -> tuple[list[list[int]], list[Channel[int, int]]]:
    """Let both ends send, and say what each received once everything is quiet."""
    timers = ChannelTimers(
        retransmission_initial_s=1.0,
        retransmission_cap_s=8.0,
        maximum_retransmissions=200,
        acknowledgement_delay_s=delay_s,
    )
    ends: list[Channel[int, int]] = [Channel(timers, receive_window=w) for w in windows]
    for end, window, number in zip(ends, reversed(windows), messages, strict=True):
        end.set_peer_window(window)
        for item in range(number):
            end.send(item)
    received: list[list[int]] = [[], []]
    wire: list[tuple[float, int, int, int, int, int | None]] = []
    order = count()
    now = 0.0
    for _ in range(200_000):
        for side, end in enumerate(ends):
            for item, ns, nr, _attempt in end.transmissions(now):
                for _copy in range(1 + (random.random() < duplication)):
                    if random.random() >= loss:
                        at = now + 0.01 + random.random() * spread_s
                        heappush(wire, (at, next(order), 1 - side, ns, nr, item))
        times = [t for end in ends if (t := end.get_timer()) is not None]
        if wire:
            times.append(wire[0][0])
        if not times:
            return received, ends
        now = max(now, min(times))
        while wire and wire[0][0] <= now:
            _, _, side, ns, nr, item = heappop(wire)
            end = ends[side]
            end.receive(ns, nr, item, now)
            while (arrival := end.next_arrival(now)) is not None:
                received[side].append(arrival[1])
        for end in ends:
            end.handle_timer(now)
    raise AssertionError("it never came to rest")


@pytest.mark.rfc2661("5.8-order", "5.8-duplicate")
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    messages=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    windows=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    loss=st.floats(0, 0.6),
    duplication=st.floats(0, 0.5),
    spread_s=st.floats(0, 5),
    delay_s=st.sampled_from([0.0, 0.05, 0.5]),
)
def test_every_message_arrives_once_and_in_order(
    seed: int,
    messages: tuple[int, int],
    windows: tuple[int, int],
    loss: float,
    duplication: float,
    spread_s: float,
    delay_s: float,
) -> None:
    received, ends = drive(
        Random(seed),
        messages=messages,
        windows=windows,
        loss=loss,
        duplication=duplication,
        spread_s=spread_s,
        delay_s=delay_s,
    )
    assert not any(end.is_dead for end in ends)
    assert received == [list(range(messages[1])), list(range(messages[0]))]
    assert all(end.is_quiet for end in ends)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.booleans(), st.floats(0, 3)),
        max_size=60,
    )
)
def test_any_headers_leave_a_channel_sound(
    steps: list[tuple[int, int, bool, float]],
) -> None:
    timers = ChannelTimers(
        retransmission_initial_s=1.0,
        retransmission_cap_s=8.0,
        maximum_retransmissions=5,
        acknowledgement_delay_s=0.05,
    )
    subject: Channel[int, int] = Channel(timers, receive_window=8)
    now, taken = 0.0, 0
    for number, (ns, nr, is_zlb, pause_s) in enumerate(steps):
        subject.send(number)
        # Near the true numbers half the time, or nothing would ever be accepted.
        near = subject.nr + ns % 8 if ns % 2 else ns
        subject.receive(near & 0xFFFF, nr % 64, None if is_zlb else number, now)
        while subject.next_arrival(now) is not None:
            taken += 1
        assert subject.nr == taken & 0xFFFF
        assert len(subject.transmissions(now)) <= 4
        assert 1 <= subject.congestion_window <= 4
        now += pause_s
        subject.handle_timer(now)
        timer = subject.get_timer()
        assert subject.is_dead or timer is None or timer > now - pause_s - 8
