"""Runs iperf3 between two namespaces: a server for one test, then the client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
    return read_iperf(_run(client, server, address, ["--time", str(seconds)], seconds))


def iperf_udp_ns(client: str, server: str, address: str, *, payload: int, seconds: int) -> float:
    """Send UDP datagrams of ``payload`` octets as fast as it goes; return the ns that one took.

    Where one processor does all of the work, and never waits, that is its time.

    Raises CannotRun with iperf3's own words when it does not run.
    """
    options = ["--udp", "--bitrate", "0", "--length", str(payload), "--time", str(seconds)]
    sent = _report(_run(client, server, address, options, seconds))["end"].get("sum", {})
    if not sent.get("packets"):
        raise CannotRun(f"iperf3 sent no datagram from {client} to {address}")
    return 1e9 * float(sent["seconds"]) / int(sent["packets"])


def _run(client: str, server: str, address: str, options: Sequence[str], seconds: float) -> str:
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
            ["iperf3", "--client", address, *options, "--json"],
            timeout_s=scaled(30 + seconds),
        )
    finally:
        served.kill()
        served.communicate()
    return done.stdout


def _wait_until_listening(served: subprocess.Popen[str]) -> None:
    said: list[str] = []
    for line in served.stdout or ():
        said.append(line.strip())
        if "listening on" in line:
            return
    raise CannotRun(f"iperf3 did not listen: {' '.join(said)}. Install it: apt install iperf3")


def read_iperf(text: str) -> IperfResult:
    """Read a client's JSON report. Raises CannotRun with iperf3's own words."""
    received = _report(text)["end"]["sum_received"]
    return IperfResult(int(received["bytes"]), received["bits_per_second"] / 1e6)


def _report(text: str) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(text)
    except ValueError:
        raise CannotRun(f"iperf3 gave no report: {text[:200]}") from None
    if "error" in report:
        raise CannotRun(f"iperf3: {report['error']}")
    return report
