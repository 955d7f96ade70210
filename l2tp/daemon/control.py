"""The daemons' control protocol, JSON lines on a Unix socket, and its client.

A request is {"id": 1, "op": "status", …}; the answer {"id": 1, "ok": true, "result": …} or
{"id": 1, "ok": false, "error": "one paragraph", "wrong_request": true}, where the last tells what
was asked for wrongly from what failed. After "events" is answered, records of the log follow as
they happen, one a line.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from l2tp.protocol.errors import L2tpError

OPERATIONS: Final = ("status", "call", "hangup", "hello", "events", "reload", "stop")
_CHUNK: Final = 65536


class ControlError(L2tpError):
    """A daemon that cannot be asked, or that refused; the text names the cure."""


class WrongRequest(ControlError):
    """A request for something that is not there, or that makes no sense; nothing was done."""


class ControlClient:
    """A connection to one daemon's control socket, blocking.

    ``timeout_s`` bounds each answer, not the wait for events. Raises ControlError.
    """

    def __init__(self, path: Path | str, *, timeout_s: float = 30.0) -> None:
        self._path = Path(path)
        self._timeout_s = timeout_s
        self._last_id = 0
        self._received = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            raise ControlError(_no_daemon(self._path, error)) from error

    def status(self) -> dict[str, Any]:
        """Return the daemon's role, tunnels, sessions, PPP states and kernel counters."""
        result: dict[str, Any] = self._ask("status")
        return result

    def call(
        self,
        tunnel: str | int | None = None,
        user: str | None = None,
        routes: list[str] | None = None,
        addresses: list[str] | None = None,
        sequencing: bool | None = None,
        number: str | None = None,
    ) -> dict[str, Any]:
        """Have a daemon place a call; returns its ``local_tunnel_id`` and ``local_session_id``.

        ``tunnel`` is a name of the configuration or a local tunnel id, None the first one, for an
        LNS a peer's host name too. An LNS has a LAC dial ``number``. A LAC calls as ``user``;
        ``user``, ``routes``, ``addresses`` and ``sequencing`` (numbered data) default to the
        tunnel's first configured call.
        """
        result: dict[str, Any] = self._ask(
            "call",
            tunnel=tunnel,
            number=number,
            user=user,
            routes=routes,
            addresses=addresses,
            sequencing=sequencing,
        )
        return result

    def hangup(self, local_tunnel_id: int, local_session_id: int | None = None) -> None:
        """End a session, or with None a tunnel; returns when its PPP and socket are gone."""
        self._ask("hangup", local_tunnel_id=local_tunnel_id, local_session_id=local_session_id)

    def reload(self) -> dict[str, list[str]]:
        """Have the daemon read its configuration again; live sessions stay as they are.

        Returns what "changed" and what of it "needs_restart". Raises ControlError with everything
        that is wrong with the files, a line each; the daemon then goes by the old ones.
        """
        result: dict[str, list[str]] = self._ask("reload")
        return result

    def hello(self, local_tunnel_id: int) -> float:
        """Ask a tunnel's peer for a sign of life; returns the round trip's time in seconds.

        Waits as long as the tunnel's retransmissions go on. Raises ControlError with the cause
        when there is no sign of life.
        """
        self._socket.settimeout(None)
        try:
            result: dict[str, float] = self._ask("hello", local_tunnel_id=local_tunnel_id)
        finally:
            self._socket.settimeout(self._timeout_s)
        return result["round_trip_s"]

    def events(self) -> Iterator[dict[str, Any]]:
        """Subscribe at once; yields what happens from now on, until the daemon ends."""
        self._ask("events")
        self._socket.settimeout(None)
        return self._records()

    def _records(self) -> Iterator[dict[str, Any]]:
        while (record := self._read()) is not None:
            yield record

    def fileno(self) -> int:
        """Return the socket's descriptor, readable when there is more to receive."""
        return self._socket.fileno()

    def receive(self) -> list[dict[str, Any]] | None:
        """Return the events that are here by now, after ``events``; None once the daemon ended.

        Waits for the first octet, so ask when the descriptor is readable.
        """
        try:
            chunk = self._socket.recv(_CHUNK)
        except OSError:
            return None
        if not chunk:
            return None
        *lines, self._received = (self._received + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def stop(self) -> None:
        """Have the daemon tear everything down and end; returns when it has."""
        self._ask("stop")
        try:
            while self._read() is not None:
                pass
        except ControlError as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
            # A connection reset is an end too.

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, operation: str, **arguments: object) -> Any:
        self._last_id += 1
        request = {"id": self._last_id, "op": operation}
        request.update((name, value) for name, value in arguments.items() if value is not None)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise ControlError(_no_daemon(self._path, error)) from error
        answer = self._read()
        if answer is None:
            raise ControlError(
                f"the daemon of {self._path} ended before it answered. "
                f"See the end of {self._path.with_name('log.jsonl')}"
            )
        if not answer.get("ok"):
            kind = WrongRequest if answer.get("wrong_request") else ControlError
            raise kind(str(answer.get("error", "the daemon refused and did not say why")))
        return answer.get("result")

    def _read(self) -> dict[str, Any] | None:
        while b"\n" not in self._received:
            try:
                chunk = self._socket.recv(_CHUNK)
            except OSError as error:
                raise ControlError(_no_answer(self._path, error, self._timeout_s)) from error
            if not chunk:
                return None
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        record: dict[str, Any] = json.loads(line)
        return record


def _no_daemon(path: Path, error: OSError) -> str:
    return (
        f"no daemon answers on {path} ({error.strerror or error}). Of a lab: "
        "l2tp-lab down, and l2tp-lab up again. By itself, as lac or lns: "
        f"python3 -m l2tp ROLE --config {path.with_name('config.toml')}"
    )


def _no_answer(path: Path, error: OSError, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return (
            f"the daemon of {path} did not answer within {timeout_s:g} s. "
            f"See the end of {path.with_name('log.jsonl')}"
        )
    return _no_daemon(path, error)
