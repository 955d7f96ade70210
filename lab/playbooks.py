"""Runs the playbooks in ``playbooks/`` with ansible-runner, and shows its events as progress.

ansible-runner and ansible-core are slow to import, so everything here imports them late.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import CannotRun
from lab.interpreters import DEBIAN_PYTHON, PROJECT
from lab.interrupts import Interrupts
from lab.network.processes import MARK, PROC, marked_processes, stop_processes

#: This box, by Debian's own Python: the one that has python3-apt.
_INVENTORY = f"localhost ansible_connection=local ansible_python_interpreter={DEBIAN_PYTHON}"

PLAYBOOKS = PROJECT / "playbooks"

#: How a line begins that tells why something failed, and one that does not.
_CAUSE = ("E:", "ERROR", "error:", "fatal:")
_NO_CAUSE = ("WARNING:", "W:", "I:", "non-zero return code")
_GIST_LINES = 2

#: How often ansible-runner looks whether it is to end, in seconds.
_LOOKING_S = 0.5

#: How long mmdebstrap may take to remove what it has unpacked, in seconds on an ordinary box.
_TIDYING_S = 60.0


class PlaybookFailed(CannotRun):
    """A playbook failed: the text says at what and why, ``output`` is all that was said."""

    def __init__(self, reason: str, output: str) -> None:
        super().__init__(reason)
        self.output = output


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """One task of a playbook came to its end."""

    name: str
    state: str  #: ok, changed, skipped or failed
    message: str
    duration_s: float


#: ansible-runner's event names, and what they mean for one task.
_TASK_STATES = {
    "runner_on_ok": "ok",
    "runner_on_skipped": "skipped",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "failed",
}


def run_playbook(
    name: str,
    variables: Mapping[str, Any],
    on_start: Callable[[str], None],
    on_end: Callable[[TaskEnded], None],
    *,
    can_stop: bool = True,
) -> None:
    """Run ``playbooks/<name>.yml`` on this box.

    ``variables`` become Ansible's extra variables. ``on_start`` hears the name of each task that
    begins, ``on_end`` how it ended. Ctrl-C ends what runs and waits for it to tidy up, or, without
    ``can_stop``, lets it come to its own end: a half-installed package needs a hand. Raises
    PlaybookFailed with the failed task's own words.
    """
    import ansible_runner

    failures: list[TaskEnded] = []

    def handle(event: dict[str, Any]) -> bool:
        data = event.get("event_data", {})
        if event["event"] == "playbook_on_task_start":
            on_start(data["task"])
        elif state := _TASK_STATES.get(event["event"]):
            ended = _task_ended(data, state)
            on_end(ended)
            if state == "failed" and not data.get("ignore_errors"):
                failures.append(ended)
        return True

    mark = os.urandom(16).hex()
    with (
        tempfile.TemporaryDirectory(prefix="l2tp-lab-playbook-") as private,
        Interrupts() as interrupts,
    ):
        result = ansible_runner.run(
            private_data_dir=private,
            playbook=str(PLAYBOOKS / f"{name}.yml"),
            inventory=_INVENTORY,
            extravars=dict(variables),
            envvars={**_environment(private), MARK: mark},
            event_handler=handle,
            # One of its own would take Ctrl-C from this process for good.
            cancel_callback=interrupts.was_heard if can_stop else _never,
            settings={"pexpect_timeout": _LOOKING_S},
            quiet=True,
        )
        if result.status == "canceled":
            # It ends Ansible, and not its workers and what these run, each in a session of its own.
            _kill_workers(mark)
            stop_processes(marked_processes(mark), patience_s=_TIDYING_S)
        elif result.status != "successful":
            raise _failed(name, failures, result)


def _kill_workers(mark: str) -> None:
    """Kill Ansible's own processes: a worker that is told to end tells all that it runs.

    That is told already, and would lose what it tidies up with, ``rm`` say, to the second word.
    """
    for process in marked_processes(mark):
        with suppress(OSError):
            if b"ansible-playbook" in (PROC / str(process.pid) / "cmdline").read_bytes():
                os.kill(process.pid, signal.SIGKILL)


def _never() -> bool:
    return False


def _task_ended(data: dict[str, Any], state: str) -> TaskEnded:
    result = data.get("res", {})
    if state == "ok" and result.get("changed"):
        state = "changed"
    parts = (str(result.get(key, "")).strip() for key in ("msg", "stderr"))
    message = "\n".join(part for part in parts if part)
    return TaskEnded(data["task"], state, message, float(data.get("duration", 0.0)))


def _environment(private: str) -> dict[str, str]:
    # ansible-playbook lives beside this interpreter, which need not be on PATH; and Ansible
    # refuses to start in a locale that is not UTF-8, which a fresh box often has.
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        # Its files are ours to remove: by default they stay in ~/.ansible.
        "ANSIBLE_HOME": f"{private}/home",
        "ANSIBLE_REMOTE_TMP": f"{private}/tmp",
    }


def _failed(name: str, failures: list[TaskEnded], result: Any) -> PlaybookFailed:
    if failures:
        last = failures[-1]
        where, output = f"failed at “{last.name}”", last.message
    else:
        where, output = f"ended as {result.status}", "".join(result.stdout)
    return PlaybookFailed(f"playbooks/{name}.yml {where}: {gist(output)}", output)


def gist(output: str) -> str:
    """Pick, of all that a failed program said, the few words that tell why.

    apt and mmdebstrap begin such a line with E:, pip and others with ERROR; else it is the last.
    """
    lines = [line.strip() for line in output.splitlines()]
    said = [line for line in lines if line and not line.startswith(_NO_CAUSE)]
    causes = [line for line in said if line.startswith(_CAUSE)]
    words = "; ".join(dict.fromkeys((causes or said)[-_GIST_LINES:]))
    return words.rstrip(":. ") or "it said nothing"
