"""Which Debian mirror to build from: the one this box already uses, when it is a Debian box."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping

#: One line per package index that apt knows; the fields that tell Debian's own archive.
_FORMAT = "$(ORIGIN)\t$(LABEL)\t$(COMPONENT)\t$(CREATED_BY)\t$(REPO_URI)"


#: Which of Debian's archives hold a suite, by their label: the suite's name there.
_ARCHIVES = {"Debian": "{suite}", "Debian-Security": "{suite}-security"}

#: How suites end that get their security fixes by themselves.
_WITHOUT_SECURITY = ("unstable", "-backports")


def apt_lines(suite: str) -> list[str]:
    """Return the ``deb`` lines for a suite from this box's own mirrors.

    Empty where this box has no Debian mirror: mmdebstrap then takes its own default.
    """
    return make_lines(suite, find_mirrors(_index_targets()))


def apt_options() -> list[str]:
    """Return the settings of this box's apt that its mirrors need: how long an index is valid.

    A mirror that is a frozen copy says of itself that it is out of date; whoever uses one has
    told apt so already.
    """
    try:
        done = subprocess.run(
            ["apt-config", "dump", "--format", '%f "%v";%n', "Acquire::Check-Valid-Until"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return []
    return [line for line in done.stdout.splitlines() if line]


def make_lines(suite: str, mirrors: Mapping[str, str]) -> list[str]:
    """Write the ``deb`` lines for a suite, given each archive's address by its label."""
    if "Debian" not in mirrors:
        return []
    labels = ["Debian"] if suite.endswith(_WITHOUT_SECURITY) else list(_ARCHIVES)
    return [
        f"deb {mirrors[label]} {_ARCHIVES[label].format(suite=suite)} main"
        for label in labels
        if label in mirrors
    ]


def find_mirrors(targets: Iterable[str]) -> dict[str, str]:
    """Return the address of each of Debian's archives among apt's index targets, by its label."""
    found: dict[str, str] = {}
    for line in targets:
        fields = line.split("\t")
        if len(fields) == 5 and fields[0] == "Debian" and fields[2:4] == ["main", "Packages"]:
            found.setdefault(fields[1], fields[4])
    return found


def _index_targets() -> list[str]:
    try:
        done = subprocess.run(
            ["apt-get", "indextargets", "--format", _FORMAT],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return []
    return done.stdout.splitlines()
