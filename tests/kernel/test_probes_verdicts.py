"""Each row of what the driver does with a packet gives exactly that verdict."""

import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from probes.figures.tracer import Tracer
from probes.figures.verdicts import RECEIVED, Verdict
from probes.hooks import modules
from tests.kernel import probe_support as support
from tests.kernel.driver_states import held_socket, make_session_without_socket

pytestmark = pytest.mark.kernel

IP_FRAME = support.PPP_IP + support.ip_packet()
IPCP_REQUEST = b"\x80\x21\x01\x01\x00\x0a\x03\x06\0\0\0\0"
ECHO = support.PPP_LCP + b"\x09\x01\x00\x08\0\0\0\0"


@pytest.fixture(scope="module")
def tracer() -> Iterator[Tracer]:
    modules.load_driver()
    tracer = Tracer()
    yield tracer
    tracer.close()


@pytest.fixture
def pair() -> Iterator[Any]:
    with support.tunnel_pair(f"verdict{os.getpid()}") as pair:
        yield pair


def with_unit(pair: Any) -> Any:
    """Give the receiving session, with a ppp interface."""
    session = pair.right.sessions[0]
    session.attach_unit("10.64.0.2/32", "10.64.0.1")
    return session


def verdicts(tracer: Tracer, pair: Any, session_id: int = 9) -> dict[str, int]:
    """Give what became of the packets that the right end received for a session."""
    pair.settle()
    row = support.row_of(tracer.snapshot(), pair.right, session_id)
    received = {verdict.label for verdict in RECEIVED}
    found = {label: n for label, n in row["verdicts"].items() if label in received}
    assert sum(found.values()) == row["packets"]
    return found


def raw(pair: Any, message: bytes) -> None:
    pair.left.udp.send(message)


def deliver(pair: Any) -> None:
    with_unit(pair)
    pair.left.send_data(9, IP_FRAME)


def out_of_sequence(pair: Any) -> None:
    with_unit(pair)
    for ns in (0, 1, 3, 2, 4):
        pair.left.send_data(9, IP_FRAME, ns)


def resynchronise(pair: Any) -> None:
    with_unit(pair)
    for ns in (0, *range(2, 10)):  # the sixth in a row behind the gap is taken again
        pair.left.send_data(9, IP_FRAME, ns)


def outside_window(pair: Any) -> None:
    with_unit(pair)
    pair.left.send_data(9, IP_FRAME, 40_000)


def expire(pair: Any) -> None:
    with_unit(pair).option(support.SO_REORDERTO, 20)
    for ns in (0, 2):
        pair.left.send_data(9, IP_FRAME, ns)
    pair.settle()
    select.select([], [], [], 0.1)  # the driver's own clock; it looks when the next one comes
    pair.left.send_data(9, IP_FRAME, 3)


def sequence_required(pair: Any) -> None:
    with_unit(pair).option(support.SO_RECVSEQ, 1)
    pair.left.send_data(9, IP_FRAME)


def numbers_expected_as_lns(pair: Any) -> None:
    """An LNS that numbers what it sends wants numbers too, whatever RECVSEQ says."""
    session = with_unit(pair)
    for option in (support.SO_LNSMODE, support.SO_SENDSEQ):
        session.option(option, 1)
    pair.left.send_data(9, IP_FRAME)


def bad_offset(pair: Any) -> None:
    with_unit(pair)
    raw(pair, b"\x02\x02" + struct.pack("!3H", 7, 9, 500) + IP_FRAME)


def socket_waits(pair: Any) -> None:
    pair.left.send_data(9, IP_FRAME)


def ppp_waits(pair: Any) -> None:
    with_unit(pair)
    pair.left.send_data(9, ECHO)


def ppp_queue_overflows(pair: Any) -> None:
    with_unit(pair)
    for _ in range(32 + 3):
        pair.left.send_data(9, ECHO)


def pppd_reads(pair: Any) -> None:
    session = with_unit(pair)
    for _ in range(2):
        pair.left.send_data(9, ECHO)
    pair.settle()
    assert os.read(session.files[0], 1500)


def pppd_reads_from_the_unit(pair: Any) -> None:
    session = with_unit(pair)
    for _ in range(2):
        pair.left.send_data(9, IPCP_REQUEST)
    pair.settle()
    assert os.read(session.files[1], 1500)


def reorder_waits(pair: Any) -> None:
    with_unit(pair).option(support.SO_REORDERTO, 30_000)
    for ns in (0, 2, 3):
        pair.left.send_data(9, IP_FRAME, ns)


def reorder_settles(pair: Any) -> None:
    reorder_waits(pair)
    pair.settle()
    pair.left.send_data(9, IP_FRAME, 1)


def reorder_purged(pair: Any) -> None:
    reorder_waits(pair)
    pair.settle()
    pair.right.sessions.pop().close()


def closed_unread(pair: Any) -> None:
    ppp_waits(pair)
    pair.settle()
    pair.right.sessions.pop().close()


def socket_closed(pair: Any) -> None:
    socket_waits(pair)
    pair.settle()
    pair.right.sessions.pop().close()


def socket_read(pair: Any) -> None:
    socket_waits(pair)
    pair.settle()
    fd = os.dup(pair.right.sessions[0].fd)
    with socket.socket(fileno=fd) as reader:
        assert reader.recv(1500)


def interface_down(pair: Any) -> None:
    session = with_unit(pair)
    session.namespace.ip("link", "set", session.interface, "down")
    pair.left.send_data(9, IP_FRAME)


def wrong_version(pair: Any) -> None:
    raw(pair, b"\x00\x01" + struct.pack("!2H", 7, 9) + IP_FRAME)


def too_short(pair: Any) -> None:
    raw(pair, b"\x00\x02" + struct.pack("!2H", 7, 9) + b"\0\x21")


ROWS: list[tuple[Callable[[Any], None], dict[Verdict, int]]] = [
    (deliver, {Verdict.DELIVERED: 1}),
    # The one that closes the gap is taken; what came behind the gap is not waited for.
    (out_of_sequence, {Verdict.DELIVERED: 3, Verdict.OUT_OF_SEQUENCE: 2}),
    (resynchronise, {Verdict.DELIVERED: 4, Verdict.OUT_OF_SEQUENCE: 5}),
    (outside_window, {Verdict.OUTSIDE_WINDOW: 1}),
    (expire, {Verdict.DELIVERED: 2, Verdict.EXPIRED: 1}),
    (sequence_required, {Verdict.SEQUENCE_REQUIRED: 1}),
    (numbers_expected_as_lns, {Verdict.SEQUENCE_REQUIRED: 1}),
    (bad_offset, {Verdict.BAD_OFFSET: 1}),
    (socket_waits, {Verdict.WAITING_SOCKET: 1}),
    (socket_read, {Verdict.READ: 1}),
    (socket_closed, {Verdict.CLOSED_UNREAD: 1}),
    (ppp_waits, {Verdict.WAITING_PPP: 1}),
    (ppp_queue_overflows, {Verdict.WAITING_PPP: 32, Verdict.QUEUE_FULL: 3}),
    (pppd_reads_from_the_unit, {Verdict.READ: 1, Verdict.WAITING_PPP: 1}),
    (pppd_reads, {Verdict.WAITING_PPP: 1, Verdict.READ: 1}),
    (closed_unread, {Verdict.CLOSED_UNREAD: 1}),
    (reorder_waits, {Verdict.DELIVERED: 1, Verdict.WAITING_REORDER: 2}),
    (reorder_settles, {Verdict.DELIVERED: 4}),
    (reorder_purged, {Verdict.DELIVERED: 1, Verdict.REORDER_PURGED: 2}),
    (interface_down, {Verdict.PPP_REFUSED: 1}),
    (wrong_version, {Verdict.WRONG_VERSION: 1}),
    (too_short, {Verdict.TOO_SHORT: 1}),
]


# These three show the heart: taken, dropped with its cause, and settled later.
SHORT = (deliver, out_of_sequence, pppd_reads)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(
            make, expected, id=make.__name__, marks=[] if make in SHORT else pytest.mark.long
        )
        for make, expected in ROWS
    ],
)
def test_verdict(
    tracer: Tracer, pair: Any, make: Callable[[Any], None], expected: dict[Verdict, int]
) -> None:
    make(pair)
    assert verdicts(tracer, pair) == {verdict.label: n for verdict, n in expected.items()}


@pytest.mark.long
def test_a_full_socket_drops_and_counts(tracer: Tracer, pair: Any) -> None:
    frame = support.PPP_IP + support.ip_packet(1400)
    while not pair.right.sessions[0].stats()["rx_errors"]:
        for _ in range(20):
            pair.left.send_data(9, frame)
        pair.settle()
    found = verdicts(tracer, pair)
    assert found[Verdict.SOCKET_FULL.label] == pair.right.sessions[0].stats()["rx_errors"]
    assert set(found) == {Verdict.SOCKET_FULL.label, Verdict.WAITING_SOCKET.label}


def test_what_is_sent_is_counted_and_joined_with_the_other_end(tracer: Tracer, pair: Any) -> None:
    pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
    with_unit(pair)
    pair.left.namespace.run("ping", "-q", "-c", "23", "-i", "0.02", "-W", "10", "10.64.0.2")
    pair.settle()
    snapshot = tracer.snapshot()
    for end, other in (pair.ends, pair.ends[::-1]):
        row = support.row_of(snapshot, end, 9)
        stats = end.sessions[0].stats()
        assert (row["tx_packets"], row["tx_errors"]) == (23, 0)
        assert (stats["tx_packets"], stats["tx_bytes"]) == (23, row["tx_bytes"])
        assert row["verdicts"] == {"delivered": 23, "sent": 23}
        assert row["peer"]["netns"] == other.namespace.inum
        assert row["peer"]["data_packets"] == row["tx_packets"]
        assert sum(row["tx_ns_log2"]) == 23


@pytest.mark.long
def test_sending_on_a_socket_that_is_not_connected_fails(tracer: Tracer, pair: Any) -> None:
    pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
    # connect() to AF_UNSPEC undoes a connection; Python's socket has no words for it.
    support._check(support._libc.connect(pair.left.udp.fileno(), bytes(16), 16), "connect")
    pair.left.sessions[0].send_ppp(ECHO)
    row = support.row_of(tracer.snapshot(), pair.left, 9)
    assert row["verdicts"] == {"not_connected": 1}
    assert pair.left.sessions[0].stats()["tx_errors"] == 1


@pytest.mark.long
def sent(tracer: Tracer, pair: Any) -> dict[str, int]:
    """Give what became of what the left end sent, which the driver counts the same."""
    row = support.row_of(tracer.snapshot(), pair.left, 9)
    stats = pair.left.sessions[0].stats()
    assert (stats["tx_packets"], stats["tx_errors"]) == (row["tx_packets"], row["tx_errors"])
    return {v: n for v, n in row["verdicts"].items() if v not in {r.label for r in RECEIVED}}


@pytest.mark.long
def test_what_is_longer_than_a_datagram_fails(tracer: Tracer, pair: Any) -> None:
    os.write(pair.left.sessions[0].fd, support.PPP_IP + bytes(65_525))
    assert sent(tracer, pair) == {"too_long": 1}


@pytest.mark.long
def test_what_ip_does_not_take_fails(tracer: Tracer, pair: Any) -> None:
    pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
    pair.left.namespace.ip("link", "set", "wire", "down")  # and the way to the peer with it
    pair.left.sessions[0].send_ppp(ECHO)
    assert sent(tracer, pair) == {"send_failed": 1}


@pytest.mark.long
def test_while_user_space_holds_the_socket_sending_fails(tracer: Tracer, pair: Any) -> None:
    pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
    with held_socket(pair.left.udp):
        pair.left.sessions[0].send_ppp(ECHO)
        assert sent(tracer, pair) == {"socket_busy": 1}


@pytest.mark.long
def test_a_session_without_a_socket_drops(tracer: Tracer, pair: Any) -> None:
    with pair.right.namespace.inside():
        make_session_without_socket(pair.right.tunnel_id, 77, 78)
    pair.left.send_data(77, IP_FRAME)
    assert verdicts(tracer, pair, 77) == {"no_socket": 1}


@pytest.mark.long
def test_a_frame_that_is_bridged_is_sent_on(tracer: Tracer, pair: Any) -> None:
    with pair.second_tunnel() as (_, middle):
        pair.right.sessions[0].bridge_to(middle.sessions[0])
        pair.left.send_data(9, IP_FRAME)
        assert verdicts(tracer, pair) == {"bridged": 1}
        out = support.row_of(tracer.snapshot(), middle, 10)
        assert out["verdicts"]["sent"] == 1


@pytest.mark.long
def test_numbers_are_followed(tracer: Tracer, pair: Any) -> None:
    with_unit(pair).option(support.SO_REORDERTO, 30_000)
    for ns in (0, 1, 4, 3, 5, 2):
        pair.left.send_data(9, IP_FRAME, ns)
    pair.settle()
    numbers = support.row_of(tracer.snapshot(), pair.right, 9)["numbers"]
    assert (numbers["rx_numbered"], numbers["rx_gaps"], numbers["rx_skipped"]) == (6, 1, 2)
    assert (numbers["rx_late"], numbers["rx_depth"]) == (2, 4)
    assert (numbers["queue"], numbers["queue_max"], numbers["nr"]) == (0, 3, 6)


@pytest.mark.long
def test_what_waited_for_an_earlier_owner_of_the_ids_is_not_the_new_ones(
    tracer: Tracer, pair: Any
) -> None:
    earlier = with_unit(pair)
    pair.left.send_data(9, support.PPP_LCP + bytes(8))
    pair.settle()
    assert verdicts(tracer, pair) == {"waiting_ppp": 1}
    # The session ends; who holds the PPP channel open still has the frame.
    pair.right.sessions.remove(earlier)
    os.close(earlier.fd)
    pair.right.add_session(9, 9)
    with_unit(pair)
    pair.left.send_data(9, IP_FRAME)
    while earlier.files:
        os.close(earlier.files.pop())
    assert verdicts(tracer, pair) == {"delivered": 1}


@pytest.mark.long
def test_ids_that_are_given_again_begin_from_nothing(tracer: Tracer, pair: Any) -> None:
    deliver(pair)
    pair.settle()
    pair.right.sessions.pop().close()
    pair.right.add_session(9, 9)
    with_unit(pair)
    for _ in range(3):
        pair.left.send_data(9, IP_FRAME)
    assert verdicts(tracer, pair) == {"delivered": 3}
    assert support.row_of(tracer.snapshot(), pair.right, 9)["uses"] == 2
