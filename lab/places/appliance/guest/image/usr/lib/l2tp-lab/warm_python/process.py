"""The forked process: it becomes what the client's python3 would have been, and runs the module."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import io
import os
import random
import resource
import runpy
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from warm_python.client import Client, Request
from warm_python.imported import forget_folders
from warm_python.kernel import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    PR_SET_MM,
    PR_SET_MM_ARG_END,
    PR_SET_MM_ARG_START,
    PR_SET_MM_ENV_END,
    PR_SET_MM_ENV_START,
    PR_SET_PDEATHSIG,
    check,
    libc,
)


def become(client: Client, request: Request, server: int) -> None:
    """Become, as far as the kernel is concerned, what the client's python3 would have been."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != server:
        os._exit(1)  # it ended before it could take us along
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in request.ignored:
        signal.signal(number, signal.SIG_IGN)
    _, _, _, net, mnt, folder = request.handles
    for kind, handle, flag in (("net", net, CLONE_NEWNET), ("mnt", mnt, CLONE_NEWNS)):
        if os.fstat(handle).st_ino != Path(f"/proc/self/ns/{kind}").stat().st_ino:
            check(libc.setns(handle, flag))
    os.fchdir(folder)
    os.umask(request.umask)
    for which in range(resource.RLIM_NLIMITS if hasattr(resource, "RLIM_NLIMITS") else 16):
        limits = resource.prlimit(client.pid, which)
        if limits != resource.getrlimit(which):
            resource.setrlimit(which, limits)
    for number, handle in enumerate(request.handles[:3]):
        os.dup2(handle, number)


_shown: list[object] = []


def show(request: Request) -> None:
    """Let /proc say of this process what it would say of the client's python3 (best effort).

    A lab finds what is its own by a mark in /proc/PID/environ (proc(5), prctl(2) PR_SET_MM).
    """
    Path("/proc/self/comm").write_text("python3")
    words = [b"/usr/bin/python3", b"-m", *(os.fsencode(word) for word in request.arguments)]
    arguments = b"".join(word + b"\0" for word in words)
    environment = b"".join(b"%b=%b\0" % pair for pair in request.environment.items())
    kept = ctypes.create_string_buffer(arguments + environment)
    _shown.append(kept)
    start = ctypes.addressof(kept)
    middle = start + len(arguments)
    # Each start goes first: the heap lies below the stack, where the first ones are.
    for option, address in (
        (PR_SET_MM_ARG_START, start),
        (PR_SET_MM_ARG_END, middle),
        (PR_SET_MM_ENV_START, middle),
        (PR_SET_MM_ENV_END, middle + len(environment)),
    ):
        libc.prctl(PR_SET_MM, option, ctypes.c_ulong(address), 0, 0)


def refresh(request: Request) -> None:
    """Give the interpreter the state that it would have started with."""
    os.environb.clear()
    os.environb.update(request.environment)
    time.tzset()
    sys.argv = ["-m", *request.arguments[1:]]
    sys.orig_argv = [sys.executable, "-m", *request.arguments]
    unbuffered = bool(request.environment.get(b"PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = _stream(0, "r", "surrogateescape")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "w", "surrogateescape", unbuffered)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "w", "backslashreplace", True)  # type: ignore[misc]
    random.seed()
    forget_folders()


def _stream(number: int, mode: str, errors: str, eager: bool = False) -> io.TextIOWrapper:
    binary = open(number, f"{mode}b", closefd=False)  # noqa: SIM115 - a descriptor
    return io.TextIOWrapper(
        binary,
        encoding="utf-8",
        errors=errors,
        newline=None if mode == "r" else "\n",
        line_buffering=mode == "w" and (number == 2 or os.isatty(number)),
        write_through=eager,
    )


def run(module: str) -> int:
    """Run a module as the main program; gives the exit code, as the interpreter would."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = _exit_code(error.code)
    except KeyboardInterrupt:
        traceback.print_exc()
        code = -signal.SIGINT
    except BaseException as error:
        # Without our own frame, and written as python3 would: the interpreter's lines are runpy's.
        error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    return code


def _exit_code(said: object) -> int:
    if said is None or isinstance(said, int):
        return (said or 0) & 0xFF
    print(said, file=sys.stderr)
    return 1


def end(code: int) -> None:
    """End as the interpreter does, but leave the taking apart of its memory to the kernel."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        print(f"Exception ignored while flushing sys.stdout: {error}", file=sys.stderr)
        code = 120
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def live(client: Client, request: Request, server: int) -> None:
    """All that the forked process does; it never returns."""
    try:
        try:
            become(client, request, server)
        except (OSError, ValueError):
            client.answer("declined")
            return
        client.answer("started")
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        show(request)
        refresh(request)
        end(run(request.arguments[0]))
    finally:
        os._exit(1)  # whatever happens: the server's own loop is not for this process
