"""The structured log: one JSON object a line, and the same to whoever listens on the socket."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Final

# What proves knowledge of a secret, or is one; never written, whoever asks.
_SECRET_FIELDS: Final = frozenset(
    {"challenge_response", "proxy_authen_response", "secret", "password"}
)
_HIDDEN: Final = "(hidden)"

Listener = Callable[[dict[str, Any]], None]


class EventLog:
    """Writes events to a file and hands them to listeners.

    Every record has ``event``, ``time_ns`` (CLOCK_MONOTONIC), ``wall_ns`` (CLOCK_REALTIME),
    ``local_tunnel_id`` and ``local_session_id``, null where they say nothing. A record that the
    disk does not take is lost to the file, and to nobody else: ``lost_records`` counts them,
    ``failure`` says why, None while records are written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        self._listeners: list[Listener] = []
        self._torn = b""
        self.lost_records = 0
        self.failure: str | None = None

    def write(
        self,
        event: str,
        *,
        local_tunnel_id: int | None = None,
        local_session_id: int | None = None,
        **fields: object,
    ) -> None:
        """Record one event with its ids and further fields, which must be plain()."""
        record: dict[str, Any] = {
            "event": event,
            "time_ns": time.monotonic_ns(),
            "wall_ns": time.time_ns(),
            "local_tunnel_id": local_tunnel_id,
            "local_session_id": local_session_id,
        }
        for name, value in fields.items():
            record[name] = plain(value)
        self._store(json.dumps(record).encode() + b"\n")
        for listener in tuple(self._listeners):
            listener(record)

    def write_event(self, event: object, **more: object) -> None:
        """Record a dataclass of l2tp.protocol.events under its class name, and further fields."""
        fields = {
            field.name: getattr(event, field.name)
            for field in dataclasses.fields(event)  # type: ignore[arg-type]
        } | more
        tunnel = fields.pop("local_tunnel_id", None)
        session = fields.pop("local_session_id", None)
        self.write(type(event).__name__, local_tunnel_id=tunnel, local_session_id=session, **fields)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hand every further record to ``listener``; returns the call that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def reopen(self) -> None:
        """Go on in a new file where somebody moved the old one away (logrotate).

        Where there can be none the old one goes on.
        """
        try:
            new = _open(self._path)
        except OSError as error:
            self.failure = error.strerror
            return
        self._file.close()
        self._file, self._torn = new, b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _store(self, line: bytes) -> None:
        """Write a line, after what is left of one that a full disk cut off: lines stay lines."""
        try:
            if self._torn:
                self._torn = self._torn[self._file.write(self._torn) :]
            if not self._torn:
                self._torn = line[self._file.write(line) :]
                self.failure = None
                return
        except OSError as error:
            self.failure = error.strerror
        self.lost_records += 1


def _open(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    # Unbuffered, so that what happened before a kill -9 is there.
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)


def plain(value: object) -> object:
    """Turn a value into what JSON knows: named fields to objects, bytes to hexadecimal text.

    Fields that hold secrets or prove them come out as "(hidden)", empty ones are left out.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        # An address is text; what else has names keeps them.
        return str(value) if "__str__" in vars(type(value)) else _object(value._asdict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _object(
            {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        )
    if isinstance(value, Mapping):
        return _object({str(key): item for key, item in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def _object(fields: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _HIDDEN if name in _SECRET_FIELDS else plain(value)
        for name, value in fields.items()
        if value is not None and value != ()
    }
