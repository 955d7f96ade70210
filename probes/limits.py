"""Numbers on a command line: which are allowed, said to whoever gives another."""

import argparse
from collections.abc import Callable

# Ids are of 16 bits in L2TPv2 and of 32 in L2TPv3 (RFC 2661 §3.1, RFC 3931 §4.1).
U32_MAX = 0xFFFF_FFFF
_DAY_S = 86_400.0


def whole(low: int, high: int = U32_MAX) -> Callable[[str], int]:
    """Make a reader of whole numbers from low to high, both included, for argparse."""

    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and low <= int(text[:20]) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"“{text}” is no whole number from {low} to {high}")

    return read


def seconds(text: str) -> float:
    """Read a time of more than nothing and at most a day, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value <= _DAY_S:
        return value
    raise argparse.ArgumentTypeError(f"“{text}” is no number of seconds above 0, up to a day")
