"""``python -m lab`` is ``l2tp-lab``."""

import sys


def run() -> int:
    """Run the command line, and take Ctrl-C from the first import on; returns the exit code."""
    try:
        from lab.cli import main

        return main()
    except KeyboardInterrupt:
        print("l2tp-lab: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
