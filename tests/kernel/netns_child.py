"""Brings a lab up or down in a process of its own, which may kill itself on the way.

Usage: netns_child.py up|down LAB KILL_AT TOPOLOGY.JSON. KILL_AT counts calls of and returns from
functions of the lab; at that count the process sends itself SIGKILL. With 0 it lives, and prints
the count.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import lab
from lab.network.builder import down, up
from lab.network.netns import KernelWorld
from lab.network.plan import Process, make_plan, runtime_folder
from lab.topology import from_json

LAB_FILES = str(Path(lab.__file__).parent)


class Executioner:
    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "return") and frame.f_code.co_filename.startswith(LAB_FILES):
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def main(verb: str, name: str, kill_at: int, topology: Path) -> None:
    folder = runtime_folder(name)
    # The daemon leaves a child behind that has a session and a parent of its own.
    orphan = ("sh", "-c", "setsid sleep 1000 & exec sleep 1000")
    daemon = Process("daemon", f"{name}-lac", orphan, str(folder / "daemon.log"))
    plan = make_plan(from_json(topology.read_text()), lab=name, processes=(daemon,))
    executioner = Executioner(kill_at)
    with KernelWorld(patience_s=30) as world:
        threading.setprofile(executioner)
        sys.setprofile(executioner)
        if verb == "up":
            up(plan, world)
        else:
            down(folder, world)
        sys.setprofile(None)
        threading.setprofile(None)
    print(executioner.count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
