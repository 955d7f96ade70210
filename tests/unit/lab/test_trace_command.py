"""``l2tp-lab trace`` and its sisters refuse what can never be, with what is allowed; exit 2."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lab import cli
from lab.interpreters import CHOICE
from tests.support.tracers import made_up_tracer


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (["trace", "--interval", "-1"], "above 0"),
        (["trace", "--interval", "nan"], "above 0"),
        (["trace", "--count", "0"], "from 1"),
        (["trace", "--one-in", "0"], "from 1"),
        (["trace", "--tunnel", "-1"], "from 0 to 4294967295"),
        (["trace", "--session", "4294967296"], "from 0 to 4294967295"),
        (["trace", "--one-in", "2"], "--all"),
        (["trace", "--kind", "both"], "control"),
        (["trace", "--direction", "up"], "rx"),
        (["trace", "--verdict", "lost"], "lost_from_sight"),
        (["journey", "--tunnel", "-1"], "from 1 to 4294967295"),
        (["journey", "--one-in", "99999999999"], "from 1 to 4294967295"),
        (["journey", "--address", "x"], "--address"),
        (["timeline", "--session", "0"], "from 1"),
        (["metrics", "--port", "65536"], "65535"),
        (["journey", "--output", "/nowhere/at/all.pcapng"], "mkdir -p /nowhere/at"),
        (["journey", "--output", "/"], "name a file in it"),
    ],
)
def test_what_can_never_be_is_refused(
    words: list[str], allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = cli.main(words)
    except SystemExit as refusal:
        code = refusal.code
    assert code == 2
    assert allowed in capsys.readouterr().err


@pytest.fixture
def tracer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOICE, made_up_tracer(tmp_path))
    monkeypatch.setenv("L2TP_LAB_INSIDE", "1")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["trace", "--all", "--count", "1", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("tracer")
def test_filters_are_joined_and_what_they_leave_out_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fits = ["--netns", "7", "--tunnel", "1", "--kind", "data", "--direction", "rx"]
    (row,) = json.loads(shown([*fits, "--json", "--verdict", "delivered"], capsys))["figures"]
    assert row["session_id"] == 2
    assert json.loads(shown([*fits, "--json", "--session", "9"], capsys))["figures"] == []
    assert "1 other rows" in shown([*fits, "--session", "9"], capsys)
