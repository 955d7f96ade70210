"""Server and client over a real Unix socket, with figures that a test made up."""

import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probes.client import TraceClient
from probes.errors import ProbeError
from probes.figures.snapshot import Snapshot
from probes.moments.log import Moments
from probes.server import Operation, Server


class MadeUp:
    """A source whose time goes on with every snapshot."""

    def __init__(self) -> None:
        self.taken = 0
        self.made_room = 0
        self.is_measured = False
        self.closed = False

    def snapshot(self) -> Snapshot:
        self.taken += 1
        return Snapshot(
            hooks=[],
            lost_events=0,
            losses={},
            figures=[],
            evicted_figures=0,
            costs_measured=self.is_measured,
            not_reconciled="",
            one_in=1,
            time_ns=self.taken,
        )

    def measure_costs(self, on: bool) -> bool:
        self.is_measured = on
        return on

    def make_room(self) -> None:
        self.made_room += 1

    def close(self) -> None:
        self.closed = True


class Exchange:
    """A server in this thread, and what a client does meanwhile in another."""

    def __init__(self, path: Path, more: dict[str, Operation] | None = None) -> None:
        self.path = path
        self.source = MadeUp()
        self.server = Server(self.source, path, more)

    def run(self, act: Callable[[], object]) -> list[object]:
        """Serve until act has ended and the server has been stopped; what act gave."""
        results: list[object] = []

        def in_thread() -> None:
            raw(self.path, b"{}\n", 1)  # answered only when the server minds signals
            try:
                results.append(act())
            finally:
                if not self.source.closed:
                    signal.raise_signal(signal.SIGTERM)

        thread = threading.Thread(target=in_thread)
        thread.start()
        self.server.run()
        thread.join()
        return results


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path / "trace.sock")
    yield exchange
    exchange.server.close()


def raw(path: Path, sent: bytes, answers: int) -> list[dict[str, object]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(sent)
        with connection.makefile("rb") as lines:
            return [json.loads(lines.readline()) for _ in range(answers)]


def becomes(condition: Callable[[], bool]) -> bool:
    """Wait for what another thread does, long enough for the slowest machine."""
    return any(condition() or threading.Event().wait(0.005) for _ in range(6000))


def test_a_client_asks_as_often_as_it_likes(exchange: Exchange) -> None:
    def act() -> list[int]:
        with TraceClient(exchange.path) as client:
            return [client.snapshot()["time_ns"] for _ in range(3)]

    assert exchange.run(act) == [[1, 2, 3]]


def test_costs_are_measured_until_the_last_who_asked_has_gone(exchange: Exchange) -> None:
    def act() -> list[bool]:
        with TraceClient(exchange.path) as third:
            with TraceClient(exchange.path) as first, TraceClient(exchange.path) as second:
                seen = [first.measure_costs(True), second.measure_costs(True)]
                seen += [first.measure_costs(False), third.snapshot()["costs_measured"]]
            # The second has gone without a word.
            return [*seen, becomes(lambda: not third.snapshot()["costs_measured"])]

    assert exchange.run(act) == [[True] * 5]


def test_ended_sessions_make_room_also_when_nobody_asks_for_figures(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.server._MAKE_ROOM_S", 0.001)

    def act() -> tuple[bool, int]:
        return becomes(lambda: exchange.source.made_room > 2), exchange.source.taken

    assert exchange.run(act) == [(True, 0)]


def test_stop_detaches_before_it_answers_the_end(exchange: Exchange) -> None:
    def act() -> bool:
        TraceClient(exchange.path).stop()
        return exchange.source.closed

    assert exchange.run(act) == [True]
    assert not exchange.path.exists()


def test_sigterm_detaches_and_removes_the_socket(exchange: Exchange) -> None:
    before = signal.getsignal(signal.SIGTERM)
    exchange.run(lambda: None)
    assert exchange.source.closed
    assert not exchange.path.exists()
    assert signal.getsignal(signal.SIGTERM) == before


def test_only_its_owner_may_use_the_socket(exchange: Exchange) -> None:
    assert stat.S_IMODE(exchange.path.stat().st_mode) == 0o600


def test_requests_may_come_in_pieces_and_together(exchange: Exchange) -> None:
    two = b'{"op": "snapshot"}\n{"op": "snapshot"}\n'

    def act() -> list[object]:
        return [answer["time_ns"] for answer in raw(exchange.path, two, 2)]

    assert exchange.run(act) == [[1, 2]]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"nonsense", "one JSON object"),
        (b"[]", "no operation"),
        (b'{"op": "dance"}', "'dance'"),
        (b'{"op": ["snapshot"]}', "no operation"),
        (b"\xff\xfe", "one JSON object"),
    ],
)
def test_a_wrong_request_is_refused_and_the_next_one_answered(
    exchange: Exchange, line: bytes, word: str
) -> None:
    def act() -> list[dict[str, object]]:
        return raw(exchange.path, line + b'\n{"op": "snapshot"}\n', 2)

    ((refused, answered),) = exchange.run(act)  # type: ignore[misc,attr-defined]
    assert word in refused["error"]
    assert answered["time_ns"] == 1


def test_a_line_without_end_is_not_kept(exchange: Exchange) -> None:
    def act() -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(20)
            connection.connect(str(exchange.path))
            try:
                connection.sendall(b"x" * (1 << 20))
                return connection.recv(1)
            except (BrokenPipeError, ConnectionResetError):
                return b""

    assert exchange.run(act) == [b""]


def test_a_dead_tracers_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "trace.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    server = Server(MadeUp(), path)
    server.close()
    assert not path.exists()


def test_a_living_tracers_socket_is_left_alone(exchange: Exchange) -> None:
    with pytest.raises(ProbeError, match="another tracer answers"):
        Server(MadeUp(), exchange.path)
    assert exchange.path.is_socket()


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "trace.sock"
    path.write_text("mine")
    with pytest.raises(ProbeError, match="no socket can be made"):
        Server(MadeUp(), path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["missing/trace.sock", "x" * 120])
def test_a_path_that_cannot_be_is_said_with_a_cure(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProbeError, match="no socket can be made") as caught:
        Server(MadeUp(), tmp_path / name)
    assert "mkdir" in caught.value.cure


def test_a_client_without_a_tracer_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="cannot be reached") as caught:
        TraceClient(tmp_path / "trace.sock").snapshot()
    assert f"serve --socket {tmp_path / 'trace.sock'}" in caught.value.cure


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "ended the connection"),
        (b"nonsense\n", "not JSON"),
        (b"[]\n", "no object"),
        (b'{"error": "tired"}\n', "refused `snapshot`: tired"),
    ],
)
def test_a_strange_answer_is_no_traceback(tmp_path: Path, answer: bytes, words: str) -> None:
    path = tmp_path / "trace.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def act() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=act)
        thread.start()
        with pytest.raises(ProbeError, match=words), TraceClient(path) as client:
            client.snapshot()
        thread.join()


def test_the_mask_for_new_files_is_as_before(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        Server(MadeUp(), tmp_path / "trace.sock").close()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


class Kept:
    """Moments that a test made up."""

    def __init__(self) -> None:
        self.drained = 0
        self.closed = False

    def drain(self) -> None:
        self.drained += 1

    def after(self, number: int) -> Moments:
        return Moments(moments=[], since_ns=1, following=number + 2, forgotten=0, lost=0, hooks=[])

    def close(self) -> None:
        self.closed = True


def test_moments_are_asked_for_by_number_and_end_with_the_server(exchange: Exchange) -> None:
    kept = Kept()
    exchange.server.keep(kept)

    def act() -> list[int]:
        with TraceClient(exchange.path) as client:
            first = client.moments()
            return [first["following"], client.moments(first["following"])["following"]]

    assert exchange.run(act) == [[2, 4]]
    assert kept.drained > 0
    assert kept.closed


def test_a_tracer_without_moments_says_how_to_have_them(exchange: Exchange) -> None:
    def act() -> str:
        with TraceClient(exchange.path) as client, pytest.raises(ProbeError) as caught:
            client.moments()
        return caught.value.message

    (message,) = exchange.run(act)
    assert "--moments" in str(message)
