"""What a user may get wrong, by the command line: one paragraph, its exit code, nothing begun."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from lab import cli
from lab.commands import COMMANDS
from lab.console import Console
from lab.doctor.model import Capability, no
from lab.errors import UsageError
from lab.outputs import require_file, require_folder
from lab.places import choose
from lab.places.appliance import image, kernels
from lab.running.live import Live
from lab.spelling import FILES_AS_TYPED, files_as_typed
from lab.topology import load_topology


def said(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command line that ends with that code, and return the one paragraph that it says."""
    assert cli.main(words) == code
    paragraph = capsys.readouterr().err.strip().splitlines()[-1]
    assert paragraph.startswith("l2tp-lab: ")
    assert "should have foreseen" not in paragraph
    return paragraph


@pytest.fixture
def empty_box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give a box whose place is the appliance, with nothing built and nothing running."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("L2TP_LAB_CACHE", str(cache))
    monkeypatch.delenv(choose.INSIDE, raising=False)

    def decided(*_: object, **__: object) -> choose.Choice:
        return choose.Choice(choose.Need.APPLIANCE, "a test")

    monkeypatch.setattr(choose, "decide", decided)
    monkeypatch.setattr(choose, "prepare_box", lambda *_: None)

    def built(*_: object) -> None:
        raise AssertionError("it was not refused: something is built")

    for module in (image, kernels):
        monkeypatch.setattr(module, "_build", built)
    return cache


@pytest.mark.parametrize(
    ("contents", "line"), [(b"\xff\xfe\x00", 1), (b"name: x\nnodes: \x80\n", 2)]
)
def test_a_topology_that_is_no_text_is_named_with_its_line(
    contents: bytes, line: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my.yml"
    path.write_bytes(contents)
    paragraph = said(["up", "--topology", str(path)], 2, capsys)
    assert f"{path}:{line}: this is not text in UTF-8" in paragraph


@pytest.mark.parametrize(
    ("command", "code"), [("/etc/passwd", 126), ("/nonexistent/program", 127), ("true", 0)]
)
def test_a_command_that_cannot_be_run_has_a_shells_exit_code(
    command: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(choose.INSIDE, "1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    if code == 0:
        assert cli.main(["shell", "--", command]) == 0
    else:
        assert command in said(["shell", "--", command], code, capsys)


def test_a_shell_in_a_node_starts_no_machine_and_one_beside_the_lab_does(empty_box: Path) -> None:
    shell = COMMANDS["shell"]
    assert shell.brings_up(argparse.Namespace(node=None))
    args = argparse.Namespace(node="lac", lab="lab")
    with pytest.raises(choose.NothingRuns, match="Run: l2tp-lab up"):
        choose.choose(args, Console(io.StringIO()), starts=shell.brings_up(args))
    assert not empty_box.exists()


@pytest.mark.parametrize("words", [["up"], ["appliance", "build"], ["appliance", "start"]])
def test_a_kernel_that_is_none_is_refused_before_anything_is_built(
    words: list[str], empty_box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = tmp_path / "vmlinuz"
    kernel.touch()
    assert "not a bootable" in said([*words, "--kernel", str(kernel)], 2, capsys)
    assert "neither one of 6.1" in said([*words, "--kernel", "5.10"], 2, capsys)
    assert not empty_box.exists()


@pytest.mark.parametrize("words", [["appliance", "build"], ["appliance", "stop"], ["up"]])
def test_a_cache_that_cannot_be_is_told_with_the_cure(
    words: list[str],
    empty_box: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("lab.setup.prepare_box", lambda *_: None)
    empty_box.touch()
    assert "Let L2TP_LAB_CACHE name a folder of your own" in said(words, 4, capsys)


def test_a_runtime_folder_that_cannot_be_is_told_with_the_cure(
    empty_box: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc")
    assert "XDG_RUNTIME_DIR name a folder of your own" in said(["status"], 4, capsys)


@pytest.mark.parametrize(
    "words", [["--topology", "two-lacs"], ["--topology", "scale", "--tunnels=2"]]
)
def test_another_topology_than_the_one_that_is_up_is_not_passed_over(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(choose.INSIDE, "1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    live = Live("two", Path("/nonexistent"))
    live.__dict__["topology"] = load_topology("scale", lab="two")
    live.__dict__["status"] = lambda node: {}
    monkeypatch.setattr(Live, "open", lambda _: live)
    monkeypatch.setattr("lab.running.bringup.is_up", lambda _: True)
    monkeypatch.setattr("lab.report.closing_words", lambda *_: "the picture")
    paragraph = said(["--lab", "two", "up", *words], 2, capsys)
    assert "is up with another topology (“scale”)" in paragraph
    assert "l2tp-lab down --lab two" in paragraph
    for same in ([], ["--topology", "scale"]):
        assert cli.main(["--lab", "two", "up", *same]) == 0
        assert "the picture" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["up"], ["check"]])
def test_output_that_cannot_be_written_is_refused_before_anything_is_begun(
    words: list[str], empty_box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    below = tmp_path / "file/below/run"
    assert "file is a file, and no folder" in said([*words, "--output", str(below)], 2, capsys)
    assert not empty_box.exists()


@pytest.mark.parametrize("words", [["up"], ["check"], ["journey"]])
def test_a_folder_where_nothing_can_be_written_is_named(
    words: list[str], empty_box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Not even by root, who may write everywhere by the modes.
    wrong = "nothing can be written to /proc"
    assert wrong in said([*words, "--output", "/proc/run"], 2, capsys)
    assert not empty_box.exists()


def test_a_folder_is_not_taken_for_a_file_nor_a_file_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file is a file, and no folder"):
        require_folder("output", tmp_path / "file")
    with pytest.raises(UsageError, match="this is a folder; name a file in it"):
        require_file("output", tmp_path)
    with pytest.raises(UsageError, match=f"Run: mkdir -p {tmp_path}/none"):
        require_file("output", tmp_path / "none" / "file")
    require_file("output", tmp_path / "file")
    require_folder("output", tmp_path / "made" / "later")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


_AS_A_USER = """
import os, sys
from pathlib import Path
from lab import outputs
from lab.errors import UsageError
os.setgid(65534)
os.setuid(65534)
try:
    getattr(outputs, sys.argv[1])("output", Path(sys.argv[2]))
except UsageError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("look", "target", "words"),
    [
        ("require_file", "closed/file", "closed/file: nothing can be written to"),
        ("require_folder", "closed/in/it", "closed/in/it: nothing can be written to"),
        ("require_folder", "roots", "roots: nothing can be written to"),
        ("require_file", "open/roots.pcapng", "you may not write to this file. Run: rm -f "),
        ("require_file", "open/new.pcapng", ""),
    ],
)
def test_what_is_closed_to_a_user_is_told(look: str, target: str, words: str) -> None:
    with TemporaryDirectory(dir="/tmp") as name:  # pytest's own is closed to others
        folder = Path(name)
        folder.chmod(0o755)
        for made, mode in (("closed", 0o700), ("roots", 0o755), ("open", 0o777)):
            (folder / made).mkdir()
            (folder / made).chmod(mode)
        (folder / "open" / "roots.pcapng").touch(0o644)
        argv = [sys.executable, "-c", _AS_A_USER, look, str(folder / target)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert words in done.stdout and bool(words) == bool(done.stdout)


def test_nothing_to_take_down_is_no_error_and_sends_nobody_to_bring_it_up(
    empty_box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["down", "--lab", "two"]) == 0
    words = capsys.readouterr().err
    assert "nothing to do" in words and "“two”" in words and "l2tp-lab up" not in words


@pytest.mark.parametrize(
    "words",
    [["hello", "core", "1"], ["hangup", "core", "1"], ["reload", "core"], ["events", "core"]],
)
def test_a_node_without_a_daemon_is_refused_with_those_that_have_one(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(choose.INSIDE, "1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    live = Live("lab", Path("/nonexistent"))
    live.__dict__["topology"] = load_topology("default")
    monkeypatch.setattr(Live, "open", lambda _: live)
    assert "no daemon runs on core; daemons run on lac, lns" in said(words, 2, capsys)
    other = [word.replace("core", "no-node") for word in words]
    assert "its nodes are lac, core" in said(other, 2, capsys)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["statsu"], "status"),
        (["appliance", "stauts"], "status"),
        (["trace", "--jsno"], "--json"),
        (["trace", "--intervall=2"], "--interval"),
        (["appliance", "build", "--agian"], "--again"),
        (["up", "--place", "aplliance"], "appliance"),
        (["debug", "5", "contrl", "on"], "control"),
    ],
)
def test_the_word_that_was_probably_meant_is_named(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(f". Did you mean {meant}?\n")


def test_a_word_like_no_other_is_refused_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["trace", "--xyzzy", "quux"])
    assert capsys.readouterr().err.endswith("unrecognized arguments: --xyzzy quux\n")


def test_a_place_that_lacks_modules_has_a_cure_that_can_be_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(choose.INSIDE, raising=False)
    row = Capability("module l2tp_ppp", lambda: no("not there", "boot another"))
    monkeypatch.setattr(choose, "missing", lambda *_, **__: [(row, row.ask())])
    paragraph = said(["status", "--place", "here", "--lab", "two"], 4, capsys)
    assert "lacks module l2tp_ppp" in paragraph
    assert "run: l2tp-lab up --place appliance --lab two. " in paragraph


def test_an_error_names_a_file_as_the_user_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, typed = "/run/l2tp-lab-files/in/my.yml", "labs/my.yml"
    monkeypatch.setenv(FILES_AS_TYPED, files_as_typed({copy: typed})[FILES_AS_TYPED])
    paragraph = said(["up", "--topology", copy], 2, capsys)
    assert f"there is no topology file {typed};" in paragraph


RECORD = {
    "node": "lac",
    "tunnel_id": 15,
    "peer_tunnel_id": 46,
    "session_id": None,
    "peer_session_id": None,
    "time_ns": 1,
    "source": "daemon",
    "says": "tunnel opened",
}


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_timeline_with_nothing_of_a_tunnel_says_so_with_those_in_it(
    form: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(choose.INSIDE, "1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    told = SimpleNamespace(read=lambda: [RECORD], not_seen=list, honesty=[])
    monkeypatch.setattr("lab.commands.timeline._sources", lambda *_: None)
    monkeypatch.setattr("lab.running.timelines.LabTimeline", lambda _: told)
    assert cli.main(["timeline", "--tunnel", "5", *form]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("the tunnels in it: 15")) == ("", 1)
    assert cli.main(["timeline", "--tunnel", "46", *form]) == 0
    shown = capsys.readouterr()
    assert "tunnel opened" in shown.out and shown.err == ""
