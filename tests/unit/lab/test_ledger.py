"""The ledger: what a complete line is, and who may write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab.network.ledger import FILE_NAME, Ledger, LedgerError, lab_lock
from lab.network.plan import File, Netns, Process, Veth

STEPS = [
    Netns("lab-lac"),
    Netns("lab-lns"),
    Veth("lab-lac", "lns", 101, "lab-lns", "lac", 102, 1500),
    Process("lac", "lab-lac", ("python3", "-m", "l2tp"), "/run/log"),
]


def make(folder: Path) -> Ledger:
    return Ledger.create(folder, lab="lab", boot_id="boot-1")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ledger = make(tmp_path / "lab")
    numbers = ledger.intend(STEPS, [{"inode": 1}, {"inode": 2}, {}, {}])
    ledger.made(numbers, [{}, {}, {}, {"pid": 7, "start_ticks": 8}])
    ledger.gone(numbers[:1])

    again = Ledger.open(tmp_path / "lab")

    assert again.header == ledger.header
    assert again.header.boot_id == "boot-1"
    entries = again.entries()
    assert [entry.kind for entry in entries] == ["netns", "veth", "process"]
    assert entries[0].identity == {"inode": 2}
    assert entries[2].identity == {"pid": 7, "start_ticks": 8}
    assert [entry.made for entry in entries] == [False, False, True]
    assert entries[1].step["peer_interface"] == "lac"


def test_a_ledger_and_its_folder_are_for_root_alone(tmp_path: Path) -> None:
    make(tmp_path / "lab")
    assert (tmp_path / "lab").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "lab" / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_no_secret_goes_into_the_ledger(tmp_path: Path) -> None:
    ledger = make(tmp_path / "lab")
    ledger.intend([File("/run/secrets.toml", "wonderland", 0o600)], [{}])
    assert "wonderland" not in ledger.path.read_text()


def test_a_second_ledger_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    first = make(tmp_path / "lab")
    with pytest.raises(FileExistsError):
        make(tmp_path / "lab")
    assert Ledger.open(tmp_path / "lab").header == first.header
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


@pytest.mark.parametrize("text", ["", "not JSON\n", '{"ledger": 99}\n', "[]\n"])
def test_what_is_no_ledger_of_ours_is_not_acted_upon(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(LedgerError, match="nothing is removed"):
        Ledger.open(tmp_path)


@settings(deadline=None)
@given(cut=st.integers(0, 10_000))
@example(cut=-1)  # only the last newline is missing
def test_a_torn_end_loses_only_what_was_not_made(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("ledger") / "lab"
    ledger = make(folder)
    first = ledger.intend(STEPS[:2], [{}, {}])
    size = ledger.path.stat().st_size
    ledger.intend(STEPS[2:], [{}, {}])
    os.truncate(ledger.path, size + cut % (ledger.path.stat().st_size - size))

    complete = [entry.number for entry in Ledger.open(folder).entries()][2:]
    assert len(complete) < 2
    later = Ledger.open(folder).intend([Netns("lab-late")], [{}])

    kept = [entry.number for entry in Ledger.open(folder).entries()]
    assert kept == [*first, *complete, *later]


def test_two_writers_do_not_mix_their_lines(tmp_path: Path) -> None:
    make(tmp_path / "lab")
    writers = [Ledger.open(tmp_path / "lab") for _ in range(3)]
    for count in range(5):
        for writer in writers:
            writer.intend([Netns(f"n{count}")], [{}])
    assert len(Ledger.open(tmp_path / "lab").entries()) == 15


def test_only_one_command_changes_a_lab_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "lab"
    with lab_lock(folder):
        with pytest.raises(LedgerError, match=rf"pid {os.getpid()}"), lab_lock(folder):
            pass
        with lab_lock(folder.with_name("other")):
            pass
    with lab_lock(folder):
        pass
    assert list((tmp_path / "run").iterdir()) == []
