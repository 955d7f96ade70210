"""The serial console of a guest, up to a line that matters."""

from __future__ import annotations

import socket
import time
from types import TracebackType

from lab.errors import CannotRun

#: What the guest prints on its console when the kernel runs, and when it can be reached.
KERNEL_UP = b"l2tp-lab: kernel up"
USERLAND_UP = b"l2tp-lab: userland up"
_CANNOT_BOOT = b"l2tp-lab: cannot boot"


class Console:
    """The serial console of a machine that this process started, up to a line that matters."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._seen = bytearray()

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; the machine goes on."""
        self._stream.close()

    def fileno(self) -> int:
        """Return the descriptor, for waiting on several consoles at once."""
        return self._stream.fileno()

    def read(self) -> bool:
        """Take what has come; return False at the end, which is the machine's end."""
        data = self._stream.recv(65536)
        self._seen += data
        return bool(data)

    def shows(self, marker: bytes) -> bool:
        """Tell whether a line has been printed so far."""
        return marker in self._seen

    def wait_for(self, marker: bytes, deadline_s: float) -> None:
        """Wait for a line. Raises CannotRun when the machine ended or the deadline passed."""
        end = time.monotonic() + deadline_s
        while not self.shows(marker):
            self._stream.settimeout(max(end - time.monotonic(), 0.001))
            try:
                alive = self.read()
            except TimeoutError:
                raise CannotRun(
                    f"the appliance did not come up in {deadline_s:.0f} s; its console ended "
                    f"with: {self.tail()}"
                ) from None
            if not alive or self.shows(_CANNOT_BOOT):
                raise CannotRun(f"the appliance ended while it booted: {self.tail()}")

    def tail(self) -> str:
        """Return the line that tells why the guest ended: a panic's, or the last one."""
        lines = self._seen.decode(errors="replace").strip().splitlines()
        panics = [line for line in lines if "Kernel panic" in line]
        return [*panics, *lines[-1:], "(nothing printed)"][0].strip()
