"""Asking a running tracer: TraceClient speaks to `python3 -m probes serve`.

One JSON object a line, over a Unix stream socket: {"op": "snapshot"} is answered
with a Snapshot, {"op": "moments", "after": N} with Moments, {"op": "measure"} and {"op": "rest"}
with {"measured": bool} (the probes' own cost, by the kernel), {"op": "stop"} with {} before the
tracer ends; "debug" and "debug_messages" are answered by debugger.py. An answer with a key
"error" is a refusal.
"""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from probes.errors import ProbeError
from probes.figures.snapshot import Snapshot

if TYPE_CHECKING:
    from probes.moments.log import Moments

DEFAULT_TIMEOUT_S = 10.0


class TraceClient:
    """A connection to a tracer, made at the first request and kept.

    path: the tracer's socket. timeout_s: how long to wait for an answer.
    Every method raises ProbeError, with a cure, when the tracer does not answer.
    """

    def __init__(self, path: str | Path, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._path = Path(path)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._received = b""

    def snapshot(self) -> Snapshot:
        """Read every figure and the state of the hooks, as they are now."""
        return cast(Snapshot, self._ask("snapshot"))

    def moments(self, after: int = 0) -> "Moments":
        """Ask what happened to tunnels and sessions, after the first so many moments."""
        return cast("Moments", self._ask("moments", after=after))

    def switch_debug(
        self, netns: int, tunnel_id: int, session_id: int, categories: Sequence[str], *, on: bool
    ) -> dict[str, Any]:
        """Turn debug messages on or off; returns what is on, and what cannot be said here."""
        return self._ask(
            "debug",
            netns=netns,
            tunnel_id=tunnel_id,
            session_id=session_id,
            categories=list(categories),
            on=on,
        )

    def debug_messages(self) -> dict[str, Any]:
        """Take the debug messages that nobody has taken yet; returns what is on, too."""
        return self._ask("debug_messages")

    def measure_costs(self, on: bool) -> bool:
        """Let the kernel measure what the probes cost, or no more; says whether it does."""
        return bool(self._ask("measure" if on else "rest")["measured"])

    def stop(self) -> None:
        """Let the tracer detach and end; returns when it has."""
        self._ask("stop")
        self._await_end()
        self.close()

    def close(self) -> None:
        """End the connection. The tracer goes on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._received = b""

    def __enter__(self) -> "TraceClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            line = self._exchange(json.dumps({"op": operation, **arguments}).encode() + b"\n")
            answer = json.loads(line)
        except ProbeError:
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            raise self._trouble(f"did not answer within {self._timeout_s:g} s") from error
        except OSError as error:
            self.close()
            raise self._trouble(f"cannot be reached: {error.strerror}") from error
        except ValueError as error:
            self.close()
            raise self._trouble("answered something that is not JSON") from error
        if not isinstance(answer, dict):
            self.close()
            raise self._trouble("answered something that is no object")
        if "error" in answer:
            raise ProbeError(f"the tracer refused `{operation}`: {answer['error']}", "See its log.")
        return answer

    def _connected(self) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self._timeout_s)
            try:
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                raise
            self._socket = connection
        return self._socket

    def _exchange(self, request: bytes) -> bytes:
        connection = self._connected()
        connection.sendall(request)
        while b"\n" not in self._received:
            chunk = connection.recv(1 << 16)
            if not chunk:
                raise self._trouble("ended the connection instead of answering")
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _await_end(self) -> None:
        """Read until the tracer's end of the connection is closed: it has detached by then."""
        try:
            while self._connected().recv(1 << 16):
                pass
        except TimeoutError as error:
            raise self._trouble(f"did not end within {self._timeout_s:g} s") from error
        except OSError:
            pass

    def _trouble(self, what: str) -> ProbeError:
        return ProbeError(
            f"the tracer at {self._path} {what}",
            f"Look at its log, and start it with `python3 -m probes serve --socket {self._path}`.",
        )
