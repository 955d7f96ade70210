"""Commands over SSH: words arrive as they are, codes come back as they are, a loss is a loss."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import LabError, MachineLost
from lab.places.appliance.connection import Connection
from lab.waiting import wait_for

#: Stands in for ssh: writes down how it was called, and runs what the test wants of it.
FAKE = """#!{python}
import json, os, sys
calls = os.environ["FAKE_SSH_CALLS"]
with open(calls, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
number = sum(1 for _ in open(calls)) - 1
steps = json.loads(os.environ["FAKE_SSH_STEPS"])
code, output, errors = steps[min(number, len(steps) - 1)]
sys.stdout.write(output)
sys.stderr.write(errors)
sys.exit(code)
"""


class Ssh:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._calls = folder / "calls"
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(FAKE.format(python=sys.executable))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("FAKE_SSH_CALLS", str(self._calls))
        self.answers((0, "", ""))

    def answers(self, *steps: tuple[int, str, str]) -> None:
        self._monkeypatch.setenv("FAKE_SSH_STEPS", json.dumps(steps))

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()]


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    return Ssh(tmp_path, monkeypatch)


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return Connection(2222, tmp_path / "keys", tmp_path / "control")


def test_only_our_own_key_and_the_pinned_host_key_count(connection: Connection) -> None:
    options = connection.options()
    assert options[:2] == ["-F", "none"]
    for setting in ("StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "IdentityAgent=none"):
        assert setting in options


@pytest.mark.parametrize("code", [0, 1, 3, 4, 137, 253, 254])
def test_a_commands_code_comes_back(ssh: Ssh, connection: Connection, code: int) -> None:
    ssh.answers((code, "", ""))
    assert connection.run(["true"]) == code
    assert len(ssh.calls) == 1


def test_255_is_a_commands_own_when_the_guest_says_so(ssh: Ssh, connection: Connection) -> None:
    ssh.answers((255, "", ""), (0, "ended 255\n", ""))
    assert connection.run(["false"]) == 255
    first, second = ssh.calls
    token = first[-1].split()[3]
    assert second[-1].endswith(f"/{token}")


@pytest.mark.parametrize("answer", [(255, "", ""), (1, "", "No such file"), (0, "4711\n", "")])
def test_255_is_a_loss_when_the_guest_does_not(
    ssh: Ssh, connection: Connection, answer: tuple[int, str, str]
) -> None:
    ssh.answers((255, "", ""), answer)
    with pytest.raises(MachineLost):
        connection.run(["true"])


def test_words_are_quoted_for_the_guests_shell(ssh: Ssh, connection: Connection) -> None:
    connection.run(["printf", "a b", "$HOME", "it's", ""])
    assert ssh.calls[0][-1].endswith(""" printf 'a b' '$HOME' 'it'"'"'s' ''""")


def test_a_terminal_is_asked_for_only_when_wanted(ssh: Ssh, connection: Connection) -> None:
    connection.run(["true"])
    with Path(os.devnull).open() as null:
        connection.run(["true"], tty=True, stdin=null.fileno())
    plain, terminal = ssh.calls
    assert ("-T" in plain, "-tt" in plain) == (True, False)
    assert ("-T" in terminal, "-tt" in terminal) == (False, True)
    assert "setsid" in plain[-1]
    assert "setsid" not in terminal[-1]
    # A login shell that stays would die of the terminal's Ctrl-C, and the exit code with it.
    assert terminal[-1].startswith("exec /")


#: Stands in for ssh with a command that goes on until a signal is passed on to it.
PATIENT = """#!/bin/sh
case "$*" in
    *"kill -s "*) echo "$*" >>{folder}/signals; echo go >{folder}/fifo ;;
    *) exec 3<>{folder}/fifo; touch {folder}/started; read -r _ <&3; exit 7 ;;
esac
"""

RUN = """
import sys
from pathlib import Path
from lab.places.appliance.connection import Connection
folder = Path(sys.argv[1])
sys.exit(Connection(2222, folder / "keys", folder / "control").run(["true"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_end_from_outside_is_passed_on_to_the_command(
    tmp_path: Path, ssh: Ssh, number: signal.Signals
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bin/ssh").write_text(PATIENT.format(folder=tmp_path))
    running = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)])
    try:
        wait_for((tmp_path / "started").exists, "the command's start", deadline_s=60.0)
        running.send_signal(number)
        assert running.wait(60) == 7
        assert "kill -s INT" in (tmp_path / "signals").read_text()
    finally:
        running.kill()
        running.wait()
        # A stand-in that goes on without us is to end, too.
        fifo = os.open(tmp_path / "fifo", os.O_RDWR)
        os.write(fifo, b"go\n")
        os.close(fifo)


def test_what_a_tool_wrote_is_returned(ssh: Ssh, connection: Connection) -> None:
    ssh.answers((0, "output", "chatter"))
    assert connection.call(["tool"]) == b"output"


def test_a_tool_that_failed_is_told_with_its_words(ssh: Ssh, connection: Connection) -> None:
    ssh.answers((1, "", "no such file: x\n"))
    with pytest.raises(LabError, match="no such file: x") as caught:
        connection.call(["tool"])
    assert not isinstance(caught.value, MachineLost)


def test_a_tool_under_which_the_machine_went_away(ssh: Ssh, connection: Connection) -> None:
    ssh.answers((255, "", "Connection reset"))
    with pytest.raises(MachineLost):
        connection.call(["tool"])


def test_a_master_that_is_gone_is_not_in_the_way(ssh: Ssh, connection: Connection) -> None:
    connection.control.write_text("a stale socket")
    connection.open()
    assert not connection.control.exists()
    assert "ControlMaster=yes" in ssh.calls[0]


def test_a_master_lives_while_something_listens_at_its_socket(connection: Connection) -> None:
    assert not connection.is_open()
    with socket.socket(socket.AF_UNIX) as master:
        master.bind(str(connection.control))
        master.listen()
        assert connection.is_open()
    assert not connection.is_open()


def test_a_guest_that_does_not_answer_is_lost(ssh: Ssh, connection: Connection) -> None:
    ssh.answers((255, "", ""))
    with pytest.raises(MachineLost, match="port 2222"):
        connection.open()


def test_deadlines_scale_with_the_box(tmp_path: Path, ssh: Ssh) -> None:
    Connection(1, tmp_path, tmp_path / "control", slowness=4).open()
    assert "ConnectTimeout=120" in ssh.calls[0]
    assert "ServerAliveInterval=40" in ssh.calls[0]


def test_a_taken_port_is_told(ssh: Ssh, connection: Connection) -> None:
    ssh.answers((255, "", "mux_client_forward: forwarding request failed"))
    with pytest.raises(LabError, match="port 8080"):
        connection.forward(8080, 80)


def test_a_port_is_forwarded_and_given_back(ssh: Ssh, connection: Connection) -> None:
    connection.forward(8080, 80)
    connection.end_forward(8080, 80)
    asked = [[call[call.index("-O") + 1], call[call.index("-L") + 1]] for call in ssh.calls]
    rule = "127.0.0.1:8080:127.0.0.1:80"
    assert asked == [["forward", rule], ["cancel", rule]]
