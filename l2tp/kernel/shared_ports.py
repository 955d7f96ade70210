"""Whether this kernel tells tunnels apart that have the same addresses and the same ports.

Several UDP sockets may have them, and the kernel's lookup gives a datagram to any of these. A
driver that looks a session up in the socket's own tunnel then finds another tunnel's, or none
(Linux 6.1); one that looks it up in the network namespace by both ids finds the right one
(``net/l2tp/l2tp_core.c: l2tp_v2_session_get``, Linux 6.11).
"""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_TYPES: Final = Path("/sys/kernel/btf/l2tp_core")
_SYMBOLS: Final = Path("/proc/kallsyms")
_LOOKUP: Final = "l2tp_v2_session_get"


@cache
def finds_sessions_by_ids(types: Path = _TYPES, symbols: Path = _SYMBOLS) -> bool:
    """Tell whether the loaded driver looks sessions up by both ids.

    The driver's own type information names its functions, in a few pages, though not each of them
    without fail: the kernel's long list of all symbols has the last word.
    """
    with suppress(OSError):
        if f"\0{_LOOKUP}\0".encode() in types.read_bytes():
            return True
    try:
        with symbols.open(encoding="ascii", errors="replace") as lines:
            return any(line.split()[2:3] == [_LOOKUP] for line in lines if _LOOKUP in line)
    except OSError:
        return False
