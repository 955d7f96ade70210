"""python -m l2tp: usage, exit codes, and errors without a trace."""

import errno
from pathlib import Path

import pytest

from l2tp.__main__ import main
from l2tp.daemon import launch
from l2tp.kernel.errors import refusal

USAGE = "usage: python3 -m l2tp lac|lns --config FILE"


@pytest.mark.parametrize(
    "arguments",
    [[], ["lac"], ["pac", "--config", "x"], ["lac", "--config"], ["lac", "x", "y", "z"]],
)
def test_wrong_usage(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"{USAGE}\n"


def test_help(capsys):
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == f"{USAGE}\n"


@pytest.mark.parametrize("order", ["role first", "role last"])
def test_wrong_input(order, tmp_path, capsys):
    path = tmp_path / "config.toml"
    path.write_text("colour = 1\n")
    option = ["--config", str(path)]
    assert main(["lns", *option] if order == "role first" else [*option, "lns"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any("colour: is not a setting" in line for line in lines)
    assert any("ppp.pool: is missing" in line for line in lines)
    assert all(line.startswith(str(tmp_path)) for line in lines)


def test_a_kernel_without_the_driver(tmp_path, capsys, monkeypatch):
    def refuse() -> None:
        raise refusal("socket", OSError(errno.EAFNOSUPPORT, ""), "PPPoL2TP")

    monkeypatch.setattr(launch, "require_driver", refuse)
    (tmp_path / "config.toml").write_text(
        '[[tunnel]]\nname = "lns"\nlocal = "192.0.2.1"\npeer = "192.0.2.2"\n'
    )
    secrets = Path(tmp_path / "secrets.toml")
    secrets.write_text("")
    secrets.chmod(0o600)
    assert main(["lac", "--config", str(tmp_path / "config.toml")]) == 4
    error = capsys.readouterr().err
    assert "load the driver: modprobe l2tp_ppp" in error
    assert "Traceback" not in error


def test_a_folder_that_cannot_be(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(launch, "require_driver", lambda: None)
    (tmp_path / "file").write_text("")
    (tmp_path / "config.toml").write_text(
        'state_folder = "file/state"\n'
        '[[tunnel]]\nname = "lns"\nlocal = "192.0.2.1"\npeer = "192.0.2.2"\n'
    )
    secrets = Path(tmp_path / "secrets.toml")
    secrets.write_text("")
    secrets.chmod(0o600)
    assert main(["lac", "--config", str(tmp_path / "config.toml")]) == 4
    error = capsys.readouterr().err
    assert error.startswith("cannot run here: ")
    assert f"{tmp_path}/file/state" in error
    assert "Traceback" not in error
