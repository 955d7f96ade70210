"""The tracer's socket: one JSON object a line in, one out.

One thread and no asyncio, whose import would cost a tenth of the start: a
selector over the listener, the clients, and the pipe that signals write to.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from probes.errors import ProbeError
from probes.figures.snapshot import Snapshot

if TYPE_CHECKING:
    from probes.moments.log import Moments

_LINE_LIMIT = 1 << 16
# How long the last answers may take to be taken when the server ends.
_LAST_ANSWER_S = 1.0
# How often moments are fetched: rare events, and room for hundreds.
_DRAIN_S = 1.0
# How often sessions that have ended make room for others, also when nobody asks for figures.
_MAKE_ROOM_S = 5.0


# Operations that last until the client that asked for them has gone.
_MEASURING = {"measure": True, "rest": False}

Operation = Callable[[dict[str, Any]], Any]


class Source(Protocol):
    """What a server serves: a Tracer, or what a test puts in its place."""

    def snapshot(self) -> Snapshot:
        """Read every figure as it is now."""

    def measure_costs(self, on: bool) -> bool:
        """Let the kernel measure the programs' own run time, or no more."""

    def make_room(self) -> None:
        """Let sessions that have ended go where others need their room."""

    def close(self) -> None:
        """Detach everything."""


class MomentSource(Protocol):
    """What a server asks for moments: a MomentLog."""

    def drain(self) -> None:
        """Take over what has happened."""

    def after(self, number: int) -> "Moments":
        """Give what happened after the first so many moments."""

    def close(self) -> None:
        """Detach everything."""


class _Client:
    """One connection: what it has asked so far, and what it has not taken yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.asked = b""
        self.answers = b""


class Server:
    """Serve a source on a Unix socket that only its owner can use.

    path: where the socket is made; a dead tracer's is replaced.
    more: further operations by name; each gets the request and gives the answer.
    Raises ProbeError when the socket cannot be made, or a tracer answers there.
    """

    def __init__(
        self, source: Source, path: Path, more: Mapping[str, Operation] | None = None
    ) -> None:
        self._source = source
        self._moments: MomentSource | None = None
        self._path = path
        self._listener = _listen(path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stopping = False
        self._clients: set[_Client] = set()
        self._measuring: set[_Client] = set()
        self._room_made_s = time.monotonic()
        self._answers: dict[str, Operation] = {
            "snapshot": lambda _: source.snapshot(),
            "moments": self._moments_after,
            "stop": self._stop,
            **(more or {}),
        }

    def keep(self, moments: MomentSource) -> None:
        """Serve moments as well, and drain them in time; they end with the server."""
        self._moments = moments

    def _moments_after(self, request: dict[str, Any]) -> Any:
        number = request.get("after", 0)
        if self._moments is None:
            return {"error": "this tracer keeps no moments: start it with --moments"}
        if not isinstance(number, int):
            return {"error": "`after` is the number that the last answer ended with"}
        return self._moments.after(number)

    def _stop(self, _: dict[str, Any]) -> dict[str, Any]:
        self._stopping = True
        return {}

    def run(self) -> None:
        """Serve until asked to stop, or until SIGTERM or SIGINT; then detach and clean up."""
        try:
            with _signals() as wakeup:
                self._selector.register(wakeup, selectors.EVENT_READ)
                while not self._stopping:
                    if self._moments is not None:
                        self._moments.drain()
                    self._make_room()
                    for key, events in self._selector.select(self._turn_s()):
                        if key.fileobj is wakeup:
                            self._stopping = True
                        elif key.fileobj is self._listener:
                            self._accept()
                        else:
                            self._serve(key.data, events)
        finally:
            self.close()

    def _turn_s(self) -> float:
        return _MAKE_ROOM_S if self._moments is None else _DRAIN_S

    def _make_room(self) -> None:
        if time.monotonic() - self._room_made_s >= _MAKE_ROOM_S:
            self._source.make_room()
            self._room_made_s = time.monotonic()

    def _measure(self, client: _Client, on: bool) -> dict[str, Any]:
        """Measure for as long as any client wants it, and is there."""
        (self._measuring.add if on else self._measuring.discard)(client)
        return {"measured": self._source.measure_costs(bool(self._measuring))}

    def close(self) -> None:
        """Stop listening, detach, and end the connections last. May be called again."""
        if self._listener.fileno() >= 0:
            self._path.unlink(missing_ok=True)
            self._listener.close()
            self._source.close()
            if self._moments is not None:
                self._moments.close()
        while self._clients:  # a client that asked us to stop takes its end for our having done so
            client = self._clients.pop()
            with contextlib.suppress(OSError):
                client.connection.settimeout(_LAST_ANSWER_S)
                client.connection.sendall(client.answers)
            client.connection.close()
        self._selector.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            client = _Client(connection)
            self._clients.add(client)
            self._selector.register(connection, selectors.EVENT_READ, client)

    def _serve(self, client: _Client, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                self._read(client)
            if client.answers:
                sent = client.connection.send(client.answers)
                client.answers = client.answers[sent:]
        except BlockingIOError:
            pass
        except OSError:  # gone, or it does not speak our language
            self._selector.unregister(client.connection)
            client.connection.close()
            self._clients.discard(client)
            if client in self._measuring:
                self._measure(client, False)
            return
        # Who does not take its answers is not listened to: nothing grows without bound.
        wanted = selectors.EVENT_WRITE if client.answers else selectors.EVENT_READ
        self._selector.modify(client.connection, wanted, client)

    def _read(self, client: _Client) -> None:
        chunk = client.connection.recv(_LINE_LIMIT)
        if not chunk:
            raise ConnectionResetError
        *lines, client.asked = (client.asked + chunk).split(b"\n")
        if len(client.asked) > _LINE_LIMIT:
            raise ConnectionAbortedError
        for line in lines:
            client.answers += json.dumps(self._answer(client, line)).encode() + b"\n"

    def _answer(self, client: _Client, line: bytes) -> Any:
        try:
            request = json.loads(line)
        except ValueError:
            return {"error": 'a request is one JSON object a line, such as {"op": "snapshot"}'}
        operation = request.get("op") if isinstance(request, dict) else None
        if isinstance(operation, str) and operation in _MEASURING:
            return self._measure(client, _MEASURING[operation])
        answer = self._answers.get(operation) if isinstance(operation, str) else None
        if answer is None:
            known = ", ".join([*self._answers, *_MEASURING])
            return {"error": f"there is no operation {operation!r}: ask for one of {known}"}
        return answer(request)


def _listen(path: Path) -> socket.socket:
    """Make the listening socket, mode 0600 from its first moment."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _remove_dead(path)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(8)
    except OSError as error:
        listener.close()
        raise ProbeError(
            f"no socket can be made at {path}: {error.strerror or error}",
            f"Make its folder (`mkdir -p -m 0700 {path.parent}`), or name another --socket of at"
            " most 107 characters.",
        ) from error
    except ProbeError:
        listener.close()
        raise
    return listener


def _remove_dead(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ProbeError(
        f"another tracer answers at {path}",
        "Use that one, or stop it first: `python3 -m probes stop --socket PATH`.",
    )


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Turn SIGTERM and SIGINT into bytes on a socket, which a selector can wait for."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
    }
    wakeup = signal.set_wakeup_fd(writer.fileno())
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()
