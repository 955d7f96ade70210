"""What /proc and /sys tell of BPF programs and CPUs."""

from pathlib import Path


def missed_runs(program: int) -> int | None:
    """Say how often the kernel did not run a program because one was running on that CPU.

    program: its file descriptor. None when the kernel does not tell (fdinfo, since 5.12).
    """
    for line in Path(f"/proc/self/fdinfo/{program}").read_text().splitlines():
        if line.startswith("recursion_misses:"):
            return int(line.split()[1])
    return None


def possible_cpus(path: Path = Path("/sys/devices/system/cpu/possible")) -> int:
    """Count the CPUs that a per-CPU map has room for, from a list such as 0-3,8."""
    count = 0
    for part in path.read_text().strip().split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count
