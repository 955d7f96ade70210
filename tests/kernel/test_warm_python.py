"""The warm Python: a forked process is what ``python3 -m`` would have been, and nothing outlives.

Each test has a server of its own, over a small project of its own; root is needed, no driver.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.interpreters import DEBIAN_PYTHON, PROJECT
from lab.pace import scaled

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not Path(DEBIAN_PYTHON).exists(), reason=f"needs {DEBIAN_PYTHON}"),
]

TOOLS = PROJECT / "lab/places/appliance/guest/image/usr/lib/l2tp-lab"
PATIENCE_S = 20.0

VALUE = "VALUE = 'old'\n"
#: What the project of these tests does, by the first argument.
MAIN = """
import json, os, signal, sys, time
from lab import value

def facts():
    return {
        "warm": os.getppid() == int(os.environ.get("SERVER", 0)), "value": value.VALUE,
        "argv": sys.argv[1:], "cwd": os.getcwd(), "mark": os.environ.get("MARK"),
        "left_over": os.environ.get("ONLY_THE_SERVER"), "executable": sys.executable,
        "comm": open("/proc/self/comm").read().strip(),
        "cmdline": open("/proc/self/cmdline").read().split(chr(0))[:-1],
        "environ": open("/proc/self/environ").read().split(chr(0)),
        "umask": os.umask(0), "net": os.readlink("/proc/self/ns/net"),
        "mnt": os.readlink("/proc/self/ns/mnt"), "name": __name__,
        "main": "__main__" in sys.modules,
        "fds": sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1],
        "hup": signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,
        "nofile": __import__("resource").getrlimit(__import__("resource").RLIMIT_NOFILE)[0],
    }

def wait():
    print(os.getpid(), flush=True)
    while True:
        signal.pause()

def polite():
    def leave(number, frame):
        # The signal may come while print() is at work, which cannot be entered twice.
        os.write(1, b"ending\\n")
        sys.exit(7)
    signal.signal(signal.SIGTERM, leave)
    wait()

def raises():
    raise RuntimeError("on purpose")

def random():
    import random
    print(random.getrandbits(64))

{
    "facts": lambda: print(json.dumps(facts())), "wait": wait, "polite": polite, "raises": raises,
    "exit": lambda: sys.exit(int(sys.argv[2])), "say": lambda: sys.exit("said so"),
    "echo": lambda: sys.stdout.write(sys.stdin.read()), "random": random,
    "kill": lambda: os.kill(os.getpid(), int(sys.argv[2])),
    "unflushed": lambda: sys.stdout.write("kept"),
}[sys.argv[1]]()
"""


@dataclass
class Warm:
    """A server over a project's folder, and its client."""

    project: Path
    folder: Path
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        plain = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
        return {**plain, "L2TP_LAB_WARM_FOLDER": str(self.folder), "SERVER": str(self.pid)}

    def start(self, *words: str, **settings: Any) -> subprocess.Popen[str]:
        given = {"cwd": self.project, "env": self.environment, "text": True, **settings}
        for stream in ("stdin", "stdout", "stderr"):
            given.setdefault(stream, subprocess.PIPE)
        return subprocess.Popen([TOOLS / "python", "-m", "lab", *words], **given)

    def run(self, *words: str, stdin: str = "", **settings: Any) -> tuple[int, str, str]:
        with self.start(*words, **settings) as process:
            out, err = process.communicate(stdin, timeout=scaled(PATIENCE_S))
        return process.returncode, out, err

    def facts(self, *words: str, **settings: Any) -> dict[str, Any]:
        code, out, err = self.run("facts", *words, **settings)
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found


@contextmanager
def served(folder: Path) -> Iterator[Warm]:
    """Make a project and start a server over it."""
    project = folder / "project"
    (project / "lab").mkdir(parents=True)
    (project / "lab/__init__.py").write_text("")
    (project / "lab/value.py").write_text(VALUE)
    (project / "lab/__main__.py").write_text(MAIN)
    server = start_server(project, folder / "python")
    yield Warm(project, folder / "python", server)
    end(server)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """One server for all tests that leave it as it was: starting one takes seconds."""
    with served(tmp_path_factory.mktemp("warm")) as made:
        yield made


@pytest.fixture
def changing(warm: Warm) -> Iterator[Path]:
    """The project's module that a test may change or remove; it is as before when the test ends."""
    path = warm.project / "lab/value.py"
    yield path
    path.write_text(VALUE)


def start_server(project: Path, folder: Path) -> int:
    """Start a server, which is in the background when this returns; gives its pid."""
    plain = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
    places = {"L2TP_LAB_WARM_FOLDER": str(folder), "L2TP_LAB_WARM_PROJECT": str(project)}
    subprocess.run(
        [DEBIAN_PYTHON, TOOLS / "warm-server"],
        env={**plain, **places, "ONLY_THE_SERVER": "1"},
        cwd="/",
        check=True,
        capture_output=True,
    )
    return int((folder / "server").read_text())


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def is_there(pid: int) -> bool:
    return read(pid, "stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"], [b"X"])


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    eventually(lambda: not is_there(pid))


def eventually(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + scaled(PATIENCE_S)
    while not look():
        assert time.monotonic() < deadline, "it did not come"
        select.select([], [], [], 0.01)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_it_is_what_python_would_have_been(warm: Warm) -> None:
    found = warm.facts("a", "b c", env={**warm.environment, "MARK": "m"}, umask=0o027)
    assert found["warm"], "the ordinary interpreter ran"
    assert found["argv"] == ["facts", "a", "b c"]
    assert found["cwd"] == str(warm.project)
    assert (found["mark"], found["left_over"]) == ("m", None)
    assert "MARK=m" in found["environ"]
    assert found["cmdline"] == [DEBIAN_PYTHON, "-m", "lab", "facts", "a", "b c"]
    assert (found["comm"], found["name"], found["main"]) == ("python3", "__main__", True)
    assert (found["umask"], found["fds"], found["hup"]) == (0o027, [0, 1, 2], False)


def test_limits_and_ignored_signals_come_along(warm: Warm) -> None:
    line = f'trap "" HUP; ulimit -n 99; exec {TOOLS}/python -m lab facts'
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=warm.project,
        env=warm.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert (found["warm"], found["hup"], found["nofile"]) == (True, True, 99)


def test_it_is_in_its_clients_namespaces(warm: Warm) -> None:
    line = ["unshare", "--net", "--mount", TOOLS / "python", "-m", "lab", "facts"]
    done = subprocess.run(
        line,
        cwd=warm.project,
        env=warm.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["warm"]
    assert found["net"] != str(Path("/proc/self/ns/net").readlink())
    assert found["mnt"] != str(Path("/proc/self/ns/mnt").readlink())


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_an_exit_code_arrives(warm: Warm, code: int) -> None:
    assert warm.run("exit", str(code))[0] == code


def test_words_of_an_exit_and_a_traceback_arrive(warm: Warm) -> None:
    assert warm.run("say") == (1, "", "said so\n")
    code, _, errors = warm.run("raises")
    assert code == 1
    assert errors.startswith("Traceback") and errors.endswith("RuntimeError: on purpose\n")
    assert "warm-server" not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1])
def test_an_end_by_a_signal_arrives(warm: Warm, number: int) -> None:
    assert warm.run("kill", str(int(number)))[0] == -number


def test_streams_carry_much_and_the_last_of_it(warm: Warm) -> None:
    much = "ä line\n" * 200_000
    assert warm.run("echo", stdin=much) == (0, much, "")
    assert warm.run("unflushed")[1] == "kept"


def test_two_are_not_equally_random(warm: Warm) -> None:
    assert warm.run("random")[1] != warm.run("random")[1]


def test_a_signal_is_passed_on_and_the_client_waits(warm: Warm) -> None:
    with warm.start("polite") as process:
        child = int(first_line(process))
        assert child != process.pid
        process.terminate()
        assert process.wait(scaled(PATIENCE_S)) == 7
        assert first_line(process) == "ending"
    assert not is_there(child)


@pytest.mark.parametrize("own_session", [False, True])
def test_a_killed_client_takes_its_process_along(warm: Warm, own_session: bool) -> None:
    with warm.start("wait", start_new_session=own_session) as process:
        child = int(first_line(process))
        process.kill()
        eventually(lambda: not is_there(child))
    assert warm.facts()["warm"], "the server is hurt"


def test_a_killed_server_takes_all_along_and_is_not_missed(tmp_path: Path) -> None:
    with served(tmp_path) as warm:
        with warm.start("wait") as process:
            child = int(first_line(process))
            end(warm.pid)
            assert process.wait(scaled(PATIENCE_S)) == -signal.SIGKILL
            eventually(lambda: not is_there(child))
        assert not warm.facts()["warm"]


def test_nothing_is_left_over(warm: Warm) -> None:
    handles = Path(f"/proc/{warm.pid}/fd")
    before = len(list(handles.iterdir()))
    for _ in range(5):
        warm.run("exit", "0")
    eventually(lambda: len(list(handles.iterdir())) == before)
    assert read(warm.pid, f"task/{warm.pid}/children") == b""


def test_changed_code_is_what_runs(warm: Warm, changing: Path) -> None:
    assert warm.facts()["value"] == "old"
    times = changing.stat()
    changing.write_text("VALUE = 'neu'\n")  # as long, and made to be as old
    os.utime(changing, ns=(times.st_atime_ns, times.st_mtime_ns + 2_000_000_000))
    found = warm.facts()
    assert (found["warm"], found["value"]) == (True, "neu")


def test_changed_code_is_imported_once_for_all(warm: Warm, changing: Path) -> None:
    changing.write_text("import os\nVALUE = os.getpid()\n")
    assert [warm.facts()["value"] for _ in range(2)] == [warm.pid, warm.pid]
    assert {warm.facts()["warm"] for _ in range(2)} == {True}


def test_broken_code_says_so_and_is_mended(warm: Warm, changing: Path) -> None:
    changing.write_text("VALUE = (\n")
    code, _, errors = warm.run("facts")
    assert (code, "SyntaxError" in errors) == (1, True)
    changing.write_text("VALUE = 'mended'\n")
    assert warm.facts()["value"] == "mended"


def test_removed_code_does_not_run(warm: Warm, changing: Path) -> None:
    changing.unlink()
    code, _, errors = warm.run("facts")
    assert code == 1
    assert "cannot import name 'value'" in errors


def test_others_modules_folders_and_settings_are_declined(warm: Warm, tmp_path: Path) -> None:
    shutil.copytree(warm.project / "lab", tmp_path / "elsewhere/lab")
    assert not warm.facts(cwd=tmp_path / "elsewhere")["warm"]
    assert not warm.facts(env={**warm.environment, "PYTHONDEVMODE": "1"})["warm"]
    assert warm.facts(env={**warm.environment, "PYTHONPATH": str(warm.project)})["warm"]
    client = [TOOLS / "python", "-c", "print(6 * 7)"]
    assert subprocess.check_output(client, env=warm.environment, text=True) == "42\n"


def test_only_root_may_ask(warm: Warm) -> None:
    warm.folder.parent.chmod(0o711)
    warm.project.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", f"echo 1 ask >>{warm.folder}/requests"],
        user=65534,
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "ermission denied" in done.stderr
    assert warm.folder.stat().st_mode & 0o777 == 0o700


def test_a_client_that_never_was_harms_nobody(warm: Warm) -> None:
    (warm.folder / "requests").open("w").write("999999 ask\nnonsense\n1 2 3\n999999 15\n")
    assert warm.facts()["warm"]


def test_no_answer_is_left_behind(warm: Warm) -> None:
    with warm.start("wait") as process:
        first_line(process)
        process.kill()
    warm.run("exit", "0")
    eventually(lambda: {path.name for path in warm.folder.iterdir()} == {"requests", "server"})
