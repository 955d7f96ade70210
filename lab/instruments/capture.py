"""Captures in a namespace with tcpdump, started and stopped without a guess at the time."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.errors import CannotRun


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture of a namespace's interfaces; to count is to end it."""

    file: Path
    process: subprocess.Popen[str]

    def end(self) -> None:
        """End the capture: its file is whole, and goes with the block that it was made for."""
        _stop(self.process)

    def count(self, *expression: str) -> int:
        """End the capture and count the packets that a pcap filter expression matches."""
        self.end()
        done = subprocess.run(
            ["tcpdump", "--count", "-n", "-r", str(self.file), *expression],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CannotRun(f"tcpdump could not read {self.file}: {done.stderr.strip()}")
        return int(done.stdout.split()[0])


@contextmanager
def capture(netns: str, interface: str = "any", *, octets: int = 256) -> Iterator[Capture]:
    """Capture from before the block begins, until something is counted or the block ends.

    Of each packet the first ``octets`` are kept.
    """
    with tempfile.TemporaryDirectory(prefix="l2tp-lab-capture-") as folder:
        file = Path(folder, "capture.pcap")
        process = subprocess.Popen(
            [
                *("nsenter", f"--net=/run/netns/{netns}", "--"),
                *("tcpdump", "-n", "-i", interface, "--immediate-mode", "-U", "-Z", "root"),
                *("-s", str(octets), "-B", "8192", "-w", str(file)),
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        try:
            _wait_until_listening(process)
            yield Capture(file, process)
        finally:
            _stop(process)


def _wait_until_listening(process: subprocess.Popen[str]) -> None:
    said: list[str] = []
    for line in process.stderr or ():
        said.append(line.strip())
        if "listening on" in line:
            return
    raise CannotRun(f"tcpdump did not start: {' '.join(said)}. Install it: apt install tcpdump")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        # Drains what tcpdump still says, so that it cannot block on a full pipe.
        process.communicate()
