"""Several pytests somewhere else, which share the kernel tests among them, a module at a time."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from tests.support.report_stream import module_of

#: How long the test that is running when we stop may take to come to its end.
_PATIENCE_S = 30.0


class FarRun:
    """Deals modules to the far pytests that are idle, and keeps their reports by test."""

    def __init__(self, commands: Iterable[list[str]], wanted: list[str]) -> None:
        self.wanted = wanted
        self._waiting = deque(dict.fromkeys(map(module_of, wanted)))
        self._dealt: dict[str, FarPytest] = {}
        self._rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._changed = threading.Condition()
        self.stopping = False
        self._pytests = [FarPytest(self, command) for command in commands]
        for one in self._pytests:
            one.start()

    @property
    def size(self) -> int:
        """How many far pytests there are."""
        return len(self._pytests)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the far pytests: the first that is not 0; None while one runs."""
        codes = [one.exit_code for one in self._pytests]
        return None if None in codes else next(filter(None, codes), 0)

    def deal(self, to: FarPytest) -> str:
        """Give an idle pytest its next module; an empty one when there is none left."""
        with self._changed:
            if self.stopping or not self._waiting:
                return ""
            module = self._waiting.popleft()
            self._dealt[module] = to
            return module

    def take(self, report: dict[str, Any]) -> None:
        """Keep a report."""
        with self._changed:
            self._rows[report["nodeid"]].append(report)
            self._changed.notify_all()

    def look_again(self) -> None:
        """Have whoever waits look again: one of the pytests has ended."""
        with self._changed:
            self._changed.notify_all()

    def reports_of(self, nodeid: str) -> list[dict[str, Any]]:
        """Wait for a test's reports; an empty list when it ended without any."""
        with self._changed:
            self._changed.wait_for(lambda: self.has_ended(nodeid) or self._is_lost(nodeid))
            return self._rows[nodeid]

    def has_ended(self, nodeid: str) -> bool:
        """Tell whether a test came to its end, tear-down included."""
        return any(row["when"] == "teardown" for row in self._rows[nodeid])

    def _is_lost(self, nodeid: str) -> bool:
        holder = self._dealt.get(module_of(nodeid))
        return all(one.exit_code is not None for one in ([holder] if holder else self._pytests))

    def explain(self, nodeid: str) -> str:
        """Say why there is no report for a test."""
        holder = self._dealt.get(module_of(nodeid)) or self._pytests[0]
        said = "\n".join(holder.said[-30:])
        return f"{nodeid} gave no report; its pytest ended with code {holder.exit_code}:\n{said}"

    def stop(self) -> None:
        """End the far pytests if they still run."""
        self.stopping = True
        for one in self._pytests:
            one.end()


class FarPytest:
    """One pytest somewhere else, with a thread of ours that deals with it."""

    def __init__(self, run: FarRun, command: list[str]) -> None:
        self.exit_code: int | None = None
        self.said: list[str] = []
        self._run = run
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        """Begin to listen, and to say what to do."""
        self._thread.start()

    def _serve(self) -> None:
        assert self._process.stdout
        # By its input, for a command line that goes over SSH must be short.
        self._tell("\n".join([*self._run.wanted, ""]))
        for line in self._process.stdout:
            self._hear(line)
            if self._run.stopping:
                break
        # Where sudo stands between, no signal of ours reaches it. But it ends, with its fixtures
        # torn down, as soon as it finds that nobody reads its reports any more.
        self._process.stdout.close()
        self.exit_code = self._process.wait()
        self._run.look_again()

    def _hear(self, line: str) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        match row:
            case {"report": report}:
                self._run.take(report)
            case {"idle": True}:
                self._tell(self._run.deal(self))
            case {"broken": what, "why": why}:
                self.said.append(f"{what}: {why}")
            case {"started": _}:
                pass
            case _:
                self.said.append(line.rstrip())

    def _tell(self, words: str) -> None:
        assert self._process.stdin
        # One that has ended says why by its exit code.
        with suppress(BrokenPipeError):
            print(words, file=self._process.stdin, flush=True)

    def end(self) -> None:
        """End it if it still runs."""
        self._thread.join(_PATIENCE_S)
        self._process.terminate()
        self._thread.join(_PATIENCE_S)
