"""The lab's own errors: each carries one paragraph for the user and an exit code."""

from __future__ import annotations


class LabError(Exception):
    """Something failed; the text says what, where, and the command that cures it."""

    exit_code = 1


class UsageError(LabError):
    """The command line or an input file is wrong."""

    exit_code = 2


class MachineLost(LabError):
    """The appliance went away under a command."""

    exit_code = 3


class CannotRun(LabError):
    """This box lacks something that the command needs."""

    exit_code = 4
