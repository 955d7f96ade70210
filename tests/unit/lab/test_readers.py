"""A reader that has gone is a Ctrl-C; one that is there, or is none, is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.readers import interrupted_when_unread

_SILENT = """
import sys, time
from lab.readers import interrupted_when_unread
try:
    with interrupted_when_unread():
        print("begun", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    sys.exit(7)
"""


def test_what_is_silent_ends_with_its_reader() -> None:
    process = subprocess.Popen([sys.executable, "-c", _SILENT], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    assert process.poll() is None
    process.stdout.close()
    assert process.wait(60) == 7


def test_a_reader_that_stays_is_no_interrupt() -> None:
    reader, writer = os.pipe()
    with interrupted_when_unread(writer):
        pass
    os.write(writer, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("there", [True, False])
def test_a_file_has_no_reader(tmp_path: Path, there: bool) -> None:
    with (tmp_path / "file").open("w") as file:
        number = file.fileno() if there else 4711
        with interrupted_when_unread(number):
            file.write("x")
