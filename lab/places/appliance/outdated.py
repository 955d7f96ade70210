"""Whether a warm snapshot is worth making anew, because this checkout's code is not what it holds.

Its processes that have everything imported import it once more then, at the first command after
each restore: 8 s under emulation. Making a snapshot takes 45 s. Code that is worked on changes from
start to start, and is not worth one; code that is still the same ten minutes later is.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

#: Beside the snapshot: which code is newer than it, and since when.
_NEWER = "newer.json"
_PATIENCE_S = 600.0

#: What the processes import, and read.
_PACKAGES = ("l2tp/", "lab/", "probes/")
_KINDS = (".py", ".j2")


def is_outdated(snapshot: Path, there: Mapping[str, str], here: Mapping[str, str]) -> bool:
    """Tell whether the code ``here`` has been another one than the snapshot's ``there`` for long.

    Both as ``code.read_tree`` says them; how long is noted in the snapshot's folder.
    """
    wanted = _imported(here)
    note = snapshot / _NEWER
    if not differs(there, here):
        note.unlink(missing_ok=True)
        return False
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(note.read_text())
        if known["code"] == digest and known["since"] <= time.time():
            return bool(time.time() - known["since"] >= _PATIENCE_S)
    with suppress(OSError):
        note.write_text(json.dumps({"code": digest, "since": time.time()}))
    return False


def differs(there: Mapping[str, str], here: Mapping[str, str]) -> bool:
    """Tell whether two trees differ in what the processes import."""
    return _imported(there) != _imported(here)


def _imported(tree: Mapping[str, str]) -> dict[str, str]:
    return {
        name: digest
        for name, digest in tree.items()
        if name.startswith(_PACKAGES) and name.endswith(_KINDS)
    }
