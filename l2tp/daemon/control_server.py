"""The daemon's end of the control socket: requests in, answers and events out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from l2tp.config.toml_table import ConfigurationError
from l2tp.daemon.control import OPERATIONS
from l2tp.log import EventLog
from l2tp.protocol.errors import L2tpError

Operation = Callable[[Mapping[str, Any]], Awaitable[object]]

# A listener that reads nothing for this long a backlog is let go, not waited for.
_LARGEST_BACKLOG: Final = 4 * 1024 * 1024
_LARGEST_REQUEST: Final = 64 * 1024


class RequestError(L2tpError):
    """A request that is wrong itself, in words for the one who asked."""


class ControlServer:
    """Serves one Unix socket, which only its owner may use.

    ``operations`` maps "status", "call", "hangup" and "stop" to coroutines that take the
    request's arguments; "events" is served from ``log``.
    """

    def __init__(self, path: Path, operations: Mapping[str, Operation], log: EventLog) -> None:
        self._path = path
        self._operations = operations
        self._log = log
        self._server: asyncio.AbstractServer | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; a socket file that a dead daemon left is replaced."""
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o077)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, self._path, limit=_LARGEST_REQUEST
            )
        finally:
            os.umask(mask)

    async def close(self) -> None:
        """Stop listening, send what is still to be sent, close every connection."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for writer in tuple(self._writers):
            with contextlib.suppress(OSError):
                writer.write_eof()
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        stop_listening: Callable[[], None] | None = None
        try:
            while (line := await _next_line(reader)) != b"":
                answer, events = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                # In one step with the answer, so that nothing happens in between.
                if events and stop_listening is None:
                    stop_listening = self._log.listen(lambda record: _send(writer, record))
                await writer.drain()
        except ConnectionError:
            pass  # the client left
        finally:
            if stop_listening is not None:
                stop_listening()
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, line: bytes | None) -> tuple[dict[str, object], bool]:
        """Return the answer, and whether events are to follow it."""
        number: object = None
        name: object = None
        try:
            request = _parse(line)
            number = request.get("id")
            name = request.get("op")
            if name == "events":
                return {"id": number, "ok": True, "result": None}, True
            operation = self._operations.get(name) if isinstance(name, str) else None
            if operation is None:
                raise RequestError(f"unknown op {name!r}; use one of {', '.join(OPERATIONS)}")
            return {"id": number, "ok": True, "result": await operation(request)}, False
        except L2tpError as error:
            # Whoever asked may ask otherwise, or mend the files that were to be read again.
            wrong = isinstance(error, RequestError | ConfigurationError)
            return _refusal(number, str(error), wrong_request=wrong), False
        except Exception as error:
            # A fault of ours: its trace is for the log, and whoever asked must not wait for ever.
            context = {"message": f"a request for {name!r} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            text = f"the daemon failed at it: {error!r}. See the end of "
            text += str(self._path.with_name("log.jsonl"))
            return _refusal(number, text, wrong_request=False), False


def _refusal(number: object, text: str, *, wrong_request: bool) -> dict[str, object]:
    return {"id": number, "ok": False, "error": text, "wrong_request": wrong_request}


async def _next_line(reader: asyncio.StreamReader) -> bytes | None:
    """Read a line; None for one that is too long, b"" at the end."""
    is_whole = True
    while True:
        try:
            line = await reader.readuntil()
        except asyncio.IncompleteReadError as end:
            line = end.partial
        except asyncio.LimitOverrunError as error:
            await reader.readexactly(error.consumed)
            is_whole = False
            continue
        return line if is_whole else None


def _parse(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise RequestError(f"a request is one line of at most {_LARGEST_REQUEST} octets")
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"a request is one line of JSON: {error}") from error
    if not isinstance(request, dict):
        raise RequestError('a request is a JSON object such as {"id": 1, "op": "status"}')
    return request


def _send(writer: asyncio.StreamWriter, record: dict[str, Any]) -> None:
    transport = writer.transport
    if transport.is_closing():
        return
    if transport.get_write_buffer_size() > _LARGEST_BACKLOG:
        transport.abort()
        return
    writer.write(json.dumps(record).encode() + b"\n")
