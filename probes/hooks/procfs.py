"""What /proc and /sys tell of BPF programs and CPUs."""

from pathlib import Path
from typing import NamedTuple


class Runs(NamedTuple):
    """What the kernel tells of a BPF program in its fdinfo.

    missed: runs that it skipped because the program was running on that CPU; None when the kernel
    does not tell (since 5.12). runs, ns: how many and how long, while it measured them
    (BPF_ENABLE_STATS).
    """

    missed: int | None
    runs: int
    ns: int


def program_runs(program: int) -> Runs:
    """Read what the kernel tells of a program's runs. program: its file descriptor."""
    lines = Path(f"/proc/self/fdinfo/{program}").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    missed = fields.get("recursion_misses")
    return Runs(
        None if missed is None else int(missed),
        int(fields.get("run_cnt", 0)),
        int(fields.get("run_time_ns", 0)),
    )


def module_text(name: str, folder: Path = Path("/sys/module")) -> tuple[int, int]:
    """Say where a module's code begins, and an address behind its end; zeros if nobody says."""
    try:
        begin = int((folder / name / "sections/.text").read_text(), 16)
        return begin, begin + int((folder / name / "coresize").read_text())
    except (OSError, ValueError):
        return 0, 0


def possible_cpus(path: Path = Path("/sys/devices/system/cpu/possible")) -> int:
    """Count the CPUs that a per-CPU map has room for, from a list such as 0-3,8."""
    count = 0
    for part in path.read_text().strip().split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count
