"""``l2tp-lab journey --output``: the file is there, whatever ended the following."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket

from lab import cli
from lab.interpreters import CHOICE
from tests.unit.lab.test_journey_picture import hop, journey, status

PACKET = "45" + "00" * 19
JOURNEY = journey(hop("ppp_start_xmit", 0, 84, node="lac", interface="ppp0", octets=PACKET)) | {
    "kind": "journey", "time_ns": 100, "wall_ns": 200,
}  # fmt: skip


@pytest.fixture
def probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand for the probes: tells what stands in a file, and notes its own options."""
    program, says = tmp_path / "python", tmp_path / "says"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"open({str(tmp_path / 'asked')!r}, 'w').write(' '.join(sys.argv))\n"
        f"print(open({str(says)!r}).read(), end='')\n"
    )
    program.chmod(0o700)
    monkeypatch.setenv(CHOICE, str(program))
    monkeypatch.setenv("L2TP_LAB_INSIDE", "1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return says


def tell(says: Path, *records: Mapping[str, Any]) -> None:
    says.write_text("".join(json.dumps(record) + "\n" for record in records))


def packets_in(path: Path) -> int:
    with path.open("rb") as file:
        return sum(isinstance(block, EnhancedPacket) for block in FileScanner(file))


def test_a_folder_that_is_not_there_is_made_in_the_appliance(probes: Path, tmp_path: Path) -> None:
    tell(probes, status(kind="ready"), JOURNEY, status())
    output = tmp_path / "not" / "there" / "a.pcapng"
    assert cli.main(["journey", "--all", "--output", str(output)]) == 0
    assert packets_in(output) == 1
    assert "--costs" in (tmp_path / "asked").read_text()


def test_a_reader_that_goes_loses_no_file(
    probes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    tell(probes, JOURNEY, status())
    monkeypatch.setattr("builtins.print", gone)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    output = tmp_path / "a.pcapng"
    assert cli.main(["journey", "--all", "--json", "--output", str(output)]) == 1
    assert packets_in(output) == 1
