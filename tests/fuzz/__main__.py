"""Coverage-guided fuzzing: ``python -m tests.fuzz [--seconds N] [--target NAME] [--keep]``.

Each target runs in a process of its own for its share of the time. It starts from the corpus in the
repository, and keeps what it finds in .fuzz/. A finding is a file; it becomes a test by being
copied into tests/fuzz/corpus/, which a unit test replays.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
WORK = Path(__file__).parents[2] / ".fuzz"
TARGETS = ("decoder", "endpoint")
_LONGEST_INPUT = 512
_CANNOT_RUN = 4


def main(words: Sequence[str] | None = None) -> int:
    """Fuzz; 1 when something was found, 4 when atheris is not installed."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="coverage-guided fuzzing")
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together (600)")
    parser.add_argument("--target", choices=TARGETS, help="only this one")
    parser.add_argument("--keep", action="store_true", help="add what covers more to the corpus")
    args = parser.parse_args(words)
    if find_spec("atheris") is None:
        print(
            "fuzzing needs atheris, which is not installed here. Run: "
            ".venv/bin/pip install --only-binary atheris --editable '.[fuzz]'\n"
            "Its wheels are for CPython 3.11 to 3.14 on Linux, amd64; elsewhere the corpus is "
            "still replayed: .venv/bin/pytest tests/unit/l2tp/test_fuzz_corpus.py",
            file=sys.stderr,
        )
        return _CANNOT_RUN
    targets = [args.target] if args.target else list(TARGETS)
    share_s = max(1, args.seconds // len(targets))
    codes = [_fuzz(target, share_s, keep=args.keep) for target in targets]
    return int(any(codes))


def _fuzz(target: str, seconds: int, *, keep: bool) -> int:
    found = WORK / target
    found.mkdir(parents=True, exist_ok=True)
    corpus = CORPUS / target
    print(f"fuzzing {target} for {seconds} s", flush=True)
    code = _run(target, f"-max_total_time={seconds}", str(found), str(corpus))
    if code:
        print(
            f"{target}: something was found; its input is in {WORK}/{target}-*. Replay it:\n"
            f"  .venv/bin/python -m tests.fuzz.replay {target} FILE\n"
            f"and once it is mended, keep it in {corpus}",
            file=sys.stderr,
        )
    elif keep:
        code = _run(target, "-set_cover_merge=1", str(corpus), str(found))
    return code


def _run(target: str, *words: str) -> int:
    options = (
        f"-max_len={_LONGEST_INPUT}",
        "-timeout=20",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={WORK}/{target}-",
    )
    command = [sys.executable, "-m", "tests.fuzz.instrumented", target, *options, *words]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
