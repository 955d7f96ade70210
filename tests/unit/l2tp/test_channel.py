import pytest

from l2tp.protocol.channel import Channel, ChannelTimers, Verdict

TIMERS = ChannelTimers(
    retransmission_initial_s=1.0,
    retransmission_cap_s=8.0,
    maximum_retransmissions=5,
    acknowledgement_delay_s=0.05,
)


def channel(*, receive_window: int = 4, peer_window: int = 4, delay_s: float = 0.05):
    timers = ChannelTimers(
        retransmission_initial_s=1.0,
        retransmission_cap_s=8.0,
        maximum_retransmissions=5,
        acknowledgement_delay_s=delay_s,
    )
    made: Channel[str, str] = Channel(timers, receive_window=receive_window)
    made.set_peer_window(peer_window)
    return made


def sent(subject, now):
    return [(item, ns, attempt) for item, ns, _, attempt in subject.transmissions(now)]


def taken(subject, now=0.0):
    items = []
    while (arrival := subject.next_arrival(now)) is not None:
        items.append(arrival)
    return items


@pytest.mark.rfc2661("5.8-back-off")
@pytest.mark.parametrize(
    ("transmissions", "timeout_s"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (6, 8), (1000, 8)]
)
def test_timeout_doubles_to_its_cap(transmissions: int, timeout_s: float) -> None:
    assert TIMERS.timeout_s(transmissions) == timeout_s


@pytest.mark.rfc2661("5.8-back-off", "5.8-give-up")
def test_retransmits_with_back_off_and_gives_up() -> None:
    subject = channel()
    subject.send("m")
    assert sent(subject, 0.0) == [("m", 0, 1)]
    now, times = 0.0, []
    for _ in range(6):
        timer = subject.get_timer()
        assert timer is not None
        assert sent(subject, timer - 0.001) == []
        subject.handle_timer(timer - 0.001)
        now = timer
        subject.handle_timer(now)
        if sent(subject, now):
            times.append(now)
    assert times == [1, 3, 7, 15, 23]
    assert now == 31
    assert subject.retransmissions == 5
    assert subject.unacknowledged == "m"
    assert subject.get_timer() is None


@pytest.mark.rfc2661("A-slow-start", "A-avoidance", "5.8-congestion")
def test_slow_start_then_congestion_avoidance() -> None:
    subject = channel(peer_window=16)
    for number in range(60):
        subject.send(str(number))
    windows = []
    for _ in range(60):
        under_way = subject.transmissions(0.0)
        if subject.is_quiet:
            break
        windows.append(subject.congestion_window)
        # One acknowledgement for each message in flight.
        for item, ns, _, _ in under_way:
            assert item is not None
            subject.receive(0, ns + 1, None, 0.0)
    assert windows[:5] == [1, 2, 4, 8, 16]
    assert max(windows) == 16


@pytest.mark.rfc2661("A-timeout", "5.8-congestion")
def test_a_timeout_halves_the_threshold_and_starts_slowly() -> None:
    subject = channel(peer_window=8)
    for number in range(40):
        subject.send(str(number))
    for _ in range(3):
        for _, ns, _, _ in subject.transmissions(0.0):
            subject.receive(0, ns + 1, None, 0.0)
    first = subject.transmissions(0.0)
    assert len(first) == 8
    subject.handle_timer(1.0)
    assert subject.congestion_window == 1
    again = subject.transmissions(1.0)
    assert [(t.item, t.attempt) for t in again] == [(first[0].item, 2)]
    # The receiver had the others: one acknowledgement covers all, and nothing goes thrice.
    subject.receive(0, first[-1].ns + 1, None, 1.0)
    fresh = subject.transmissions(1.0)
    assert [t.attempt for t in fresh] == [1, 1]
    # Threshold 4: 2, 3, 4 by slow start, then a whole window for one more.
    windows = []
    for _ in range(7):
        windows.append(subject.congestion_window)
        ns = subject.transmissions(1.0)
        oldest = fresh.pop(0).ns
        fresh.extend(ns)
        subject.receive(0, oldest + 1, None, 1.0)
    assert windows == [2, 3, 4, 4, 4, 4, 5]


@pytest.mark.rfc2661("4.4.3-window", "5.8-window")
def test_peer_window_bounds_what_is_under_way() -> None:
    subject = channel(peer_window=2)
    for number in range(20):
        subject.send(str(number))
    for _ in range(8):
        due = subject.transmissions(0.0)
        assert len(due) <= 2
        subject.receive(0, due[-1].ns + 1, None, 0.0)


@pytest.mark.rfc2661("5.8-ns-nr")
def test_sequence_numbers_wrap() -> None:
    subject, other = channel(delay_s=0.0), channel(delay_s=0.0)
    for number in range(65540):
        subject.send(str(number))
        ((item, ns, nr, _),) = subject.transmissions(0.0)
        assert ns == number & 0xFFFF
        assert other.receive(ns, nr, item, 0.0) is Verdict.ACCEPTED
        assert taken(other) == [(ns, str(number))]
        ((nothing, _, acknowledgement, _),) = other.transmissions(0.0)
        assert nothing is None
        assert subject.receive(0, acknowledgement, None, 0.0) is Verdict.ACKNOWLEDGEMENT
        assert subject.is_quiet


@pytest.mark.rfc2661("5.8-order")
def test_out_of_order_is_held_and_delivered_in_order() -> None:
    subject = channel()
    assert subject.receive(2, 0, "c", 0.0) is Verdict.HELD
    assert subject.receive(1, 0, "b", 0.0) is Verdict.HELD
    assert subject.receive(1, 0, "b", 0.0) is Verdict.DUPLICATE
    assert taken(subject) == []
    assert subject.receive(0, 0, "a", 0.0) is Verdict.ACCEPTED
    assert taken(subject) == [(0, "a"), (1, "b"), (2, "c")]
    assert subject.nr == 3


@pytest.mark.rfc2661("5.8-ns-nr")
@pytest.mark.parametrize(
    ("ns", "verdict"),
    [
        (3, Verdict.HELD),
        (4, Verdict.OUTSIDE_WINDOW),
        (32767, Verdict.OUTSIDE_WINDOW),
        (32768, Verdict.DUPLICATE),
        (65535, Verdict.DUPLICATE),
    ],
)
def test_window_and_duplicates_by_ns(ns: int, verdict: Verdict) -> None:
    assert channel().receive(ns, 0, "m", 0.0) is verdict


@pytest.mark.rfc2661("5.8-duplicate")
def test_duplicate_is_acknowledged_at_once() -> None:
    subject = channel()
    subject.receive(0, 0, "a", 0.0)
    taken(subject)
    assert sent(subject, 0.05) == [(None, 0, 1)]
    assert sent(subject, 1.0) == []
    assert subject.receive(0, 0, "a", 1.0) is Verdict.DUPLICATE
    assert taken(subject) == []
    assert subject.transmissions(1.0) == [(None, 0, 1, 1)]


@pytest.mark.rfc2661("5.8-piggyback")
def test_acknowledgement_waits_for_its_delay_or_a_message() -> None:
    subject = channel()
    subject.receive(0, 0, "a", 0.0)
    taken(subject)
    assert sent(subject, 0.049) == []
    assert subject.get_timer() == 0.05
    subject.send("reply")
    assert subject.transmissions(0.04) == [("reply", 0, 1, 1)]
    assert sent(subject, 0.05) == []


def test_the_peers_last_message_is_acknowledged_at_once() -> None:
    subject = channel()
    assert subject.receive(0, 0, "StopCCN", 7.0) is Verdict.ACCEPTED
    assert taken(subject, 7.0) == [(0, "StopCCN")]
    assert sent(subject, 7.0) == []
    subject.stop_sending()
    assert sent(subject, 7.0) == [(None, 0, 1)]
    assert subject.get_timer() is None


def test_who_has_said_its_last_message_delays_no_acknowledgement() -> None:
    subject = channel()
    subject.send("StopCCN")
    subject.acknowledge_at_once()
    assert sent(subject, 7.0) == [("StopCCN", 0, 1)]
    subject.receive(0, 0, "its StopCCN", 7.0)
    taken(subject, 7.0)
    assert sent(subject, 7.0) == [(None, 1, 1)]


def test_delay_of_zero_acknowledges_at_once() -> None:
    subject = channel(delay_s=0.0)
    subject.receive(0, 0, "a", 7.0)
    taken(subject, 7.0)
    assert subject.transmissions(7.0) == [(None, 0, 1, 1)]


@pytest.mark.rfc2661("5.8-no-withholding")
def test_half_a_window_is_acknowledged_at_once() -> None:
    subject = channel(receive_window=4)
    subject.receive(0, 0, "a", 0.0)
    taken(subject)
    assert sent(subject, 0.0) == []
    subject.receive(1, 0, "b", 0.0)
    taken(subject)
    assert subject.transmissions(0.0) == [(None, 0, 2, 1)]


@pytest.mark.rfc2661("5.8-zlb")
def test_zlb_uses_up_no_sequence_number() -> None:
    subject = channel()
    assert subject.receive(0, 0, None, 0.0) is Verdict.ACKNOWLEDGEMENT
    assert subject.receive(0, 0, "a", 0.0) is Verdict.ACCEPTED
    taken(subject)
    assert subject.transmissions(1.0) == [(None, 0, 1, 1)]
    subject.send("m")
    assert sent(subject, 1.0) == [("m", 0, 1)]


@pytest.mark.parametrize("nr", [1, 2, 32767])
def test_acknowledging_what_never_left_is_noticed(nr: int) -> None:
    subject = channel()
    assert subject.receive(0, nr, "m", 0.0) is Verdict.UNSENT_ACKNOWLEDGED
    assert taken(subject) == []
    # Once it left, the same number is right; an older one is merely late.
    subject.send("m")
    subject.transmissions(0.0)
    assert subject.receive(0, 0, None, 0.0) is Verdict.ACKNOWLEDGEMENT
    assert subject.receive(0, 65535, None, 0.0) is Verdict.ACKNOWLEDGEMENT
    assert not subject.is_quiet
    assert subject.receive(0, 1, None, 0.0) is Verdict.ACKNOWLEDGEMENT
    assert subject.is_quiet


@pytest.mark.rfc2661("5.8-newest-nr")
def test_retransmission_carries_the_newest_nr() -> None:
    subject = channel()
    subject.send("m")
    assert subject.transmissions(0.0) == [("m", 0, 0, 1)]
    subject.receive(0, 0, "a", 0.5)
    taken(subject, 0.5)
    subject.handle_timer(1.0)
    assert subject.transmissions(1.0) == [("m", 0, 1, 2)]


def test_dropping_the_unsent_frees_their_numbers() -> None:
    subject = channel()
    for name in "abc":
        subject.send(name)
    assert sent(subject, 0.0) == [("a", 0, 1)]
    subject.drop_unsent()
    subject.send("z")
    subject.receive(0, 1, None, 0.0)
    assert sent(subject, 0.0) == [("z", 1, 1)]


def test_after_stop_sending_only_acknowledgements_leave() -> None:
    subject = channel()
    subject.send("m")
    subject.transmissions(0.0)
    subject.stop_sending()
    assert subject.is_quiet
    assert subject.get_timer() is None
    subject.handle_timer(100.0)
    assert not subject.is_dead
    subject.receive(0, 0, "a", 100.0)
    taken(subject, 100.0)
    assert subject.transmissions(101.0) == [(None, 1, 1, 1)]
