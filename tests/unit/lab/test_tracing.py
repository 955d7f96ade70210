"""A tracer of our own: it is there as long as it is looked at, whatever ends us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.interpreters import CHOICE
from lab.running.ending import in_good_order
from lab.running.tracing import of_everybody
from lab.waiting import wait_for
from tests.support.tracers import made_up_tracer


@pytest.fixture(autouse=True)
def tracer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOICE, made_up_tracer(tmp_path))


def is_gone(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()


def test_the_terminals_interrupt_is_ours_alone() -> None:
    with of_everybody() as source:
        seen = source.snapshot()
        assert seen["session"] != os.getsid(0)  # type: ignore[typeddict-item]
    assert is_gone(seen["process"])  # type: ignore[typeddict-item]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_no_signal_leaves_a_tracer_behind(number: signal.Signals) -> None:
    process = 0
    with pytest.raises(KeyboardInterrupt), of_everybody() as source:
        process = source.snapshot()["process"]  # type: ignore[typeddict-item]
        signal.raise_signal(number)
    assert is_gone(process)


_LOOK = """
import time
from lab.running.tracing import of_everybody
with of_everybody() as source:
    print(source.snapshot()["process"], flush=True)
    time.sleep(600)
"""


def test_a_kill_takes_the_tracer_along() -> None:
    looking = subprocess.Popen([sys.executable, "-c", _LOOK], stdout=subprocess.PIPE, text=True)
    assert looking.stdout is not None
    process = int(looking.stdout.readline())
    assert not is_gone(process)
    looking.kill()
    looking.communicate()
    wait_for(lambda: is_gone(process), "the tracer's end", deadline_s=60)


def test_signals_mean_afterwards_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with in_good_order():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
