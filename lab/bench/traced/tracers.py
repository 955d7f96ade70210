"""Tracers to measure: ours in either style, and a bpftrace program that counts the same."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lab.errors import CannotRun
from lab.interpreters import environment, tracer_python
from probes.client import TraceClient
from probes.hooks.costs import CostMeter

_PATIENCE_S = 120.0

# Counts packets and octets by (netns, tunnel, session) both ways, and how long each direction
# takes, from the same places. Of verdicts, numbers and drops it knows nothing.
_BPFTRACE = """
fentry:l2tp_core:l2tp_udp_encap_recv { @in[cpu] = nsecs; @len[cpu] = args.skb->len - 8; }
fentry:l2tp_ppp:pppol2tp_recv {
  $t = args.session->tunnel;
  $n = $t->l2tp_net->ns.inum;
  @rx_packets[$n, $t->tunnel_id, args.session->session_id] = count();
  @rx_bytes[$n, $t->tunnel_id, args.session->session_id] = sum(@len[cpu]);
  @net[cpu] = $n; @tid[cpu] = $t->tunnel_id; @sid[cpu] = args.session->session_id;
}
fentry:vmlinux:netif_rx /@in[cpu]/ {
  @rx_ns[@net[cpu], @tid[cpu], @sid[cpu]] = hist(nsecs - @in[cpu]);
  @in[cpu] = 0;
}
fentry:l2tp_core:l2tp_xmit_skb { @out[cpu] = nsecs; @outlen[cpu] = args.skb->len; }
fexit:l2tp_core:l2tp_xmit_skb /@out[cpu]/ {
  $t = args.session->tunnel;
  $n = $t->l2tp_net->ns.inum;
  @tx_packets[$n, $t->tunnel_id, args.session->session_id] = count();
  @tx_bytes[$n, $t->tunnel_id, args.session->session_id] = sum(@outlen[cpu]);
  @tx_ns[$n, $t->tunnel_id, args.session->session_id] = hist(nsecs - @out[cpu]);
  @out[cpu] = 0;
}
"""


# Programs that do nothing, where the figures' programs are: what being called costs.
_EMPTY = """
fentry:l2tp_core:l2tp_udp_encap_recv {}
fexit:l2tp_core:l2tp_udp_encap_recv {}
fentry:l2tp_ppp:pppol2tp_recv {}
fentry:vmlinux:netif_rx {}
fentry:l2tp_core:l2tp_xmit_skb {}
fexit:l2tp_core:l2tp_xmit_skb {}
"""


class Ours:
    """Our tracer as a process. ``started_s``: from its start to its first figures."""

    def __init__(self, client: TraceClient, pid: int, started_s: float) -> None:
        self.client = client
        self._pid = pid
        self.started_s = started_s

    def cost_ns(self) -> int:
        """How long its programs have run so far, while that was measured."""
        return sum(hook["run_ns"] for hook in self.client.snapshot()["hooks"])

    def memory_mb(self) -> float:
        """The most memory that it has held."""
        return peak_memory_mb(self._pid)


def who_listens(path: Path) -> int | None:
    """Give the pid of who takes connections; the socket is there a moment before that.

    It need not be the process that was started: a warm Python forks it elsewhere (unix(7)).
    """
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != 0:
            return None
        size = struct.calcsize("3i")
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid, _, _ = struct.unpack("3i", credentials)
        return int(pid)


@contextmanager
def ours(style: str = "", *, quiet: bool = True) -> Iterator[Ours]:
    """Run our tracer as a lab does, attached in one style or the best; ``quiet`` drops its log."""
    with tempfile.TemporaryDirectory(prefix="l2tp-lab-bench-") as folder:
        path = Path(folder) / "trace.sock"
        argv = [tracer_python(), "-m", "probes", "serve", "--socket", str(path)]
        began = time.monotonic()
        tracer = subprocess.Popen(
            [*argv, "--moments", *(["--style", style] if style else [])],
            stderr=subprocess.DEVNULL if quiet else None,
            env=environment(),
        )
        try:
            while (pid := who_listens(path)) is None:
                if tracer.poll() is not None:
                    raise CannotRun(f"the tracer ended with code {tracer.returncode}")
                if time.monotonic() - began > _PATIENCE_S:
                    raise CannotRun("the tracer did not answer in time")
                time.sleep(0.005)
            with TraceClient(path, _PATIENCE_S) as client:
                client.snapshot()
                yield Ours(client, pid, time.monotonic() - began)
        finally:
            tracer.terminate()
            tracer.wait()


class Bpftrace:
    """A bpftrace at work, and the kernel measuring what its programs cost."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def cost_ns(self) -> int:
        """How long its programs have run so far (proc(5): fdinfo of a BPF program)."""
        total = 0
        for entry in Path(f"/proc/{self._pid}/fdinfo").iterdir():
            with suppress(OSError):
                for line in entry.read_text().splitlines():
                    name, _, value = line.partition(":")
                    total += int(value) if name == "run_time_ns" else 0
        return total


@contextmanager
def bpftrace() -> Iterator[Bpftrace]:
    """Let bpftrace count the same, and the kernel measure what that costs; raises CannotRun."""
    meter = CostMeter()
    meter.turn_on()
    try:
        with _run_bpftrace(_BPFTRACE) as pid:
            yield Bpftrace(pid)
    finally:
        meter.turn_off()


@contextmanager
def empty() -> Iterator[None]:
    """Attach programs that do nothing to where ours are; raises CannotRun."""
    with _run_bpftrace(_EMPTY):
        yield


@contextmanager
def _run_bpftrace(text: str) -> Iterator[int]:
    """Run a program, give the pid. Raises CannotRun with bpftrace's words where it cannot be."""
    process = subprocess.Popen(
        ["bpftrace", "-e", 'BEGIN { printf("attached\\n"); }' + text],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "BPFTRACE_STRLEN": "16"},
    )
    try:
        said: list[str] = []
        for line in process.stdout or ():
            if line.strip() == "attached":
                break
            said.append(line)
        else:
            raise CannotRun("bpftrace ended, and said:\n" + "".join(said[-8:]).rstrip())
        yield process.pid
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def journeys(one_in: int) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Follow one packet in so many; gives what ends that, and returns all lines that were told."""
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            [tracer_python(), "-m", "probes", "journey", "--one-in", str(one_in)],
            stdout=told,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

        def lines() -> list[dict[str, Any]]:
            process.terminate()
            process.wait(_PATIENCE_S)
            told.seek(0)
            return [json.loads(line) for line in told]

        try:
            began = time.monotonic()
            while not os.fstat(told.fileno()).st_size:  # its first line says that it is ready
                if process.poll() is not None or time.monotonic() - began > _PATIENCE_S:
                    raise CannotRun("no journeys can be followed")
                time.sleep(0.01)
            yield lines
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def peak_memory_mb(pid: int) -> float:
    """The most memory that a process has held, in MB (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise CannotRun(f"the kernel does not tell the memory of process {pid}")
