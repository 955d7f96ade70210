"""What fuzzing once reached, and what it found, is run again by every test run."""

from pathlib import Path

import pytest

from tests.fuzz import __main__ as command
from tests.fuzz.targets import STATES, TARGETS

INPUTS = sorted(path for path in command.CORPUS.glob("*/*") if path.is_file())


def test_each_target_has_a_corpus():
    assert set(TARGETS) == set(command.TARGETS) == {path.parent.name for path in INPUTS}


@pytest.mark.parametrize("target", command.TARGETS)
def test_the_corpus_is_run_without_a_finding(target):
    for path in INPUTS:
        if path.parent.name == target:
            try:
                TARGETS[target](path.read_bytes())
            except Exception as error:
                raise AssertionError(f"{path} makes {target} fail") from error


def test_the_endpoints_corpus_begins_in_every_state():
    first = {
        path.read_bytes()[0] % len(STATES) for path in INPUTS if path.parent.name == "endpoint"
    }
    assert first == set(range(len(STATES)))


def test_without_a_fuzzer_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert command.main([]) == 4
    assert "pip install" in capsys.readouterr().err


def test_an_endpoint_that_raises_is_a_finding(monkeypatch):
    def stumble(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr("l2tp.protocol.arrivals._process", stumble)
    with pytest.raises(IndexError):
        TARGETS["endpoint"](bytes([2]) + Path(INPUTS[-1]).read_bytes()[1:] + b"\0\1\0")
