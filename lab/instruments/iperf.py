"""Runs iperf3 between two namespaces: a server for one test, then the client."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from lab.errors import CannotRun
from lab.instruments.kernelview import run_in
from lab.pace import scaled


@dataclass(frozen=True, slots=True)
class IperfResult:
    """What the receiver counted."""

    received_bytes: int
    mbit_s: float


def iperf_tcp(client: str, server: str, address: str, *, seconds: int) -> IperfResult:
    """Send TCP from the namespace ``client`` to ``address`` in ``server`` for some seconds.

    Raises CannotRun with iperf3's own words when it does not run.
    """
    served = subprocess.Popen(
        [
            *("nsenter", f"--net=/run/netns/{server}", "--"),
            *("iperf3", "--server", "--one-off", "--bind", address, "--forceflush"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_until_listening(served)
        done = run_in(
            client,
            ["iperf3", "--client", address, "--time", str(seconds), "--json"],
            timeout_s=scaled(30 + seconds),
        )
    finally:
        served.kill()
        served.communicate()
    return read_iperf(done.stdout)


def _wait_until_listening(served: subprocess.Popen[str]) -> None:
    said: list[str] = []
    for line in served.stdout or ():
        said.append(line.strip())
        if "listening on" in line:
            return
    raise CannotRun(f"iperf3 did not listen: {' '.join(said)}. Install it: apt install iperf3")


def read_iperf(text: str) -> IperfResult:
    """Read a client's JSON report. Raises CannotRun with iperf3's own words."""
    try:
        report = json.loads(text)
    except ValueError:
        raise CannotRun(f"iperf3 gave no report: {text[:200]}") from None
    if "error" in report:
        raise CannotRun(f"iperf3: {report['error']}")
    received = report["end"]["sum_received"]
    return IperfResult(int(received["bytes"]), received["bits_per_second"] / 1e6)
