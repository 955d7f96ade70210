"""Names under /run/netns: taken, given back, and never taken from anybody else.

A namespace is made without a name first; its inode number and cookie, and the identity of the empty
file that will carry its name, are in the ledger before the name exists. So there is no moment at
which a name of ours stands somewhere and the ledger cannot prove it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from lab.errors import CannotRun, LabError
from lab.network.namespaces import (
    FOLDER,
    bind_netns,
    is_netns,
    netns_cookie,
    new_netns,
    share_folder,
    unmount,
)
from lab.network.world import ABSENT, FOREIGN, REMOVED, Identity


class Reserved(NamedTuple):
    """A namespace and a file, neither with a name yet; both vanish when their holder dies."""

    netns: int
    file: int


def _file_identity(handle: int) -> list[int]:
    """Identify a file; the time of its birth tells it from a later one with the same number."""
    status = os.fstat(handle)
    return [status.st_dev, status.st_ino, status.st_mtime_ns]


def reserve_name() -> tuple[Reserved, Identity]:
    """Make a nameless namespace and a nameless file, and tell what identifies them."""
    try:
        netns = new_netns()
        file = os.open(FOLDER, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0)
    except PermissionError as error:
        raise CannotRun(
            f"making network namespaces is not permitted ({error}); run as root, "
            f"or in the appliance: --place appliance"
        ) from None
    identity = {
        "inode": os.fstat(netns).st_ino,
        "cookie": netns_cookie(netns),
        "file": _file_identity(file),
    }
    return Reserved(netns, file), identity


def take_name(name: str, reserved: Reserved) -> None:
    """Give a reserved namespace its name; LabError when somebody took it in the meantime."""
    path = FOLDER / name
    # Only with a folder's descriptor does os.link follow the link in /proc (linkat,
    # AT_SYMLINK_FOLLOW), which is how a nameless file gets its name (open(2), O_TMPFILE).
    own_files = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(str(reserved.file), path, src_dir_fd=own_files, follow_symlinks=True)
    except FileExistsError:
        raise LabError(taken(name)) from None
    finally:
        os.close(own_files)
    bind_netns(reserved.netns, path)


def taken(name: str) -> str:
    """Say that a name belongs to somebody else."""
    return (
        f"a network namespace {name} exists already and is not this lab's; it is left alone: "
        f"remove it yourself (ip netns del {name}), or use another name (--lab NAME)"
    )


def is_taken(name: str) -> bool:
    """Tell whether anything has that name."""
    return os.path.lexists(FOLDER / name)


def open_own(name: str, identity: Identity) -> int | None:
    """Open the namespace of that name if it is the one identified; None otherwise."""
    try:
        handle = os.open(FOLDER / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if is_netns(handle) and _same_netns(handle, identity):
        return handle
    os.close(handle)
    return None


def _same_netns(handle: int, identity: Identity) -> bool:
    if os.fstat(handle).st_ino != identity["inode"]:
        return False
    return identity["cookie"] in (None, netns_cookie(handle))


def give_back(name: str, identity: Identity, *, same_boot: bool) -> tuple[str, str]:
    """Remove a name if it is ours; gives the outcome and, for what is foreign, a note.

    After another boot no namespace of ours exists, but the file may, on a /run that lasts.
    """
    path = FOLDER / name
    if same_boot and (handle := open_own(name, identity)) is not None:
        os.close(handle)
        unmount(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ABSENT, ""
    except OSError:
        return FOREIGN, taken(name)
    try:
        ours = not is_netns(handle) and _file_identity(handle) == list(identity["file"])
    finally:
        os.close(handle)
    if not ours:
        return FOREIGN, taken(name)
    path.unlink()
    return REMOVED, ""


def folder_identity() -> Identity:
    """Tell what of the names' folder would have to be made."""
    return {"made_folder": not FOLDER.exists(), "made_mount": not _is_mounted()}


def make_folder() -> None:
    """Make the names' folder as ``ip netns add`` does; nothing when it is so already."""
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    try:
        share_folder(FOLDER)
    except PermissionError as error:
        raise CannotRun(
            f"mounting is not permitted ({error}); run as root, "
            f"or in the appliance: --place appliance"
        ) from None


def remove_folder(identity: Identity, *, same_boot: bool) -> str:
    """Undo ``make_folder``, as far as we made it and nobody uses it."""
    if not FOLDER.exists():
        return ABSENT
    if any(FOLDER.iterdir()):
        return ABSENT  # others use it now: it is theirs
    if same_boot and identity["made_mount"] and _is_mounted():
        unmount(FOLDER)
    if identity["made_folder"] and not _is_mounted():
        FOLDER.rmdir()
    return REMOVED


def _is_mounted() -> bool:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == str(FOLDER) for line in lines)
