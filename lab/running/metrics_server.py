"""Serves Prometheus text on loopback, to whoever shows the token.

A page in a browser can reach a port on loopback too: without the token, or with a Host that is
not loopback's (DNS rebinding), nothing is told.
"""

from __future__ import annotations

import hmac
import os
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lab.errors import LabError
from probes.errors import ProbeError

HOST = "127.0.0.1"
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_token(path: Path) -> str:
    """Make a new token, in a file that only its owner can read."""
    token = secrets.token_urlsafe(24)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    return token


class MetricsServer(ThreadingHTTPServer):
    """Answers GET /metrics. Raises LabError where the port is taken.

    port: 0 takes one that is free. text: makes the text at each request, one at a time; where it
    raises ProbeError the request is told why. Who is slow to ask keeps nobody else waiting.
    """

    daemon_threads = True

    def __init__(self, port: int, token: str, text: Callable[[], str]) -> None:
        self.token, self._text = token, text
        self._one_at_a_time = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise LabError(
                f"port {port} on {HOST} cannot be used: {error.strerror}. Choose another: --port 0"
            ) from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def text(self) -> str:
        """Make the text. Raises ProbeError."""
        with self._one_at_a_time:
            return self._text()


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = 10

    def do_GET(self) -> None:
        hosts = {f"{name}:{self.server.port}" for name in (HOST, "localhost")}
        given = self.headers.get("Authorization", "").encode()
        if self.headers.get("Host") not in hosts:
            self._answer(403, "ask by a name of loopback\n")
        elif not hmac.compare_digest(given, f"Bearer {self.server.token}".encode()):
            self._answer(401, "show the token: Authorization: Bearer TOKEN\n")
        elif self.path != "/metrics":
            self._answer(404, "there is only /metrics\n")
        else:
            self._figures()

    def _figures(self) -> None:
        try:
            text = self.server.text()
        except ProbeError as error:
            self._answer(503, f"{error}\n")
        else:
            self._answer(200, text, _TYPE)

    def _answer(self, code: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape every few seconds is no news."""
