"""The tracer as a process: ready, asked, stopped, killed."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.client import TraceClient
from probes.errors import ProbeError
from probes.hooks import cache
from tests.kernel.daemon_support import until

pytestmark = pytest.mark.kernel

DEADLINE_S = 120


class Served:
    """A tracer process and what it has logged."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-m", "probes", "serve", "--socket", str(path), *options],
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_ready(self) -> None:
        """Read its log up to the line that says so."""
        assert self.process.stderr is not None
        log = []
        for line in self.process.stderr:
            log.append(line)
            if "answering" in line:
                return
        pytest.fail(f"the tracer ended: {''.join(log)}")

    def await_end(self) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(DEADLINE_S)


@pytest.fixture(
    params=[
        pytest.param((), id="best"),
        pytest.param(("--style", "kprobe"), id="kprobe", marks=pytest.mark.long),
    ]
)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "trace.sock", *request.param)
    served.await_ready()
    yield served
    if served.process.poll() is None:
        served.process.kill()
    served.await_end()
    assert served.process.stderr is not None
    served.process.stderr.close()


def leftover_kprobes(pid: int) -> list[str]:
    events = Path("/sys/kernel/tracing/kprobe_events").read_text().splitlines()
    return [line for line in events if f"bcc_{pid}" in line]


@pytest.mark.long
def test_answers_and_ends_cleanly_with_sigterm(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
    with TraceClient(served.path, DEADLINE_S) as client:
        first, second = client.snapshot(), client.snapshot()
    assert all(hook["attached"] for hook in first["hooks"])
    assert first["lost_events"] == 0
    assert second["time_ns"] > first["time_ns"]
    served.process.send_signal(signal.SIGTERM)
    assert served.await_end() == 0
    assert not served.path.exists()
    assert leftover_kprobes(served.process.pid) == []


def test_stop_returns_when_the_tracer_has_detached(served: Served) -> None:
    TraceClient(served.path, DEADLINE_S).stop()
    assert not served.path.exists()
    assert served.await_end() == 0
    with pytest.raises(ProbeError, match="cannot be reached"):
        TraceClient(served.path).snapshot()


def is_watched(function: str) -> bool:
    """Say whether a program is called at a function, whoever's it is."""
    functions = Path("/sys/kernel/tracing/enabled_functions").read_text().splitlines()
    return any(line.split()[0] == function for line in functions)


def test_what_is_left_to_the_kernel_is_detached_soon(tmp_path: Path) -> None:
    served = Served(tmp_path / "trace.sock", "--detach-later")
    assert served.process.stderr is not None
    with served.process.stderr as log:
        try:
            served.await_ready()
            with TraceClient(served.path, DEADLINE_S) as client:
                hooks = len(client.snapshot()["hooks"])
            assert is_watched("l2tp_xmit_skb")
            assert is_watched("netif_rx")
        finally:
            served.process.send_signal(signal.SIGTERM)
            served.await_end()
        assert f"{hooks} of {hooks} hooks are left to the kernel" in log.read()
    until(
        lambda: not is_watched("l2tp_xmit_skb") and not is_watched("netif_rx"), "all are detached"
    )


@pytest.mark.long
def test_a_killed_tracer_leaves_nothing_but_a_socket_that_the_next_replaces(
    served: Served,
) -> None:
    served.process.kill()
    assert served.await_end() == -signal.SIGKILL
    assert leftover_kprobes(served.process.pid) == []
    following = Served(served.path)
    try:
        following.await_ready()
        with TraceClient(served.path, DEADLINE_S) as client:
            assert client.snapshot()["lost_events"] == 0
        second = subprocess.run(
            [sys.executable, "-m", "probes", "serve", "--socket", str(served.path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert second.returncode == 1
        assert "another tracer answers" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        following.process.terminate()
        assert following.await_end() == 0


@pytest.mark.long
def test_features_says_yes_to_all_that_this_kernel_offers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "probes", "features", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    answer = json.loads(done.stdout)
    assert answer["kernel"] == os.uname().release
    by_name = {feature["name"]: feature for feature in answer["features"]}
    assert done.returncode == (0 if answer["usable"] else 4)
    assert answer["usable"]
    assert by_name["bcc"]["available"]
    assert by_name["kprobe"]["detail"] == "proved by attaching"
    for feature in answer["features"]:
        assert bool(feature["reason"]) == bool(feature["cure"]) == (not feature["available"])


@pytest.mark.long
def test_all_that_is_compiled_is_prepared_beforehand(tmp_path: Path) -> None:
    """What was prepared for everybody is hidden from it, or there would be nothing to compile."""
    hide = 'mkdir -p "$1" && mount -t tmpfs none "$1" && shift && exec "$@"'
    prepare = [sys.executable, "-m", "probes", "prepare", "--cache", str(tmp_path)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", hide, "sh", str(cache.FOLDER), *prepare],
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    made = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    assert made == {"figures", "journey", "debug"}, done.stderr


@pytest.mark.long
def test_count_prints_one_object_a_turn() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "probes", "count", "--json", "--interval", "0.05", "--count", "2"],
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_S,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 2
    assert all(set(line) >= {"hooks", "figures", "lost_events"} for line in lines)
