"""Packages of a Debian suite, fetched by apt and unpacked in a folder: nothing is installed.

apt works with lists, a cache and a state of its own below that folder, so it needs no root, and
what the box has installed or pinned plays no part. It checks signatures against Debian's keys.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.doctor.programs import DEBIAN_KEYS
from lab.errors import CannotRun
from lab.places.appliance.mirror import apt_lines

#: Seconds for what is fetched: some 400 kB of lists, and the packages.
_UPDATE_S, _DOWNLOAD_S = 60.0, 300.0

#: Read after the box's own settings, of which a proxy, for one, is still wanted. What the box does
#: behind an update or an installation of its own is not.
_SETTINGS = """\
#clear APT::Update;
#clear APT::Default-Release;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear APT::Architectures;
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
"""


def unpack(names: Sequence[str], suite: str, architecture: str, work: Path) -> Path:
    """Fetch packages by their names, and return the folder below ``work`` with their files.

    Raises CannotRun, with the cause in one line.
    """
    apt = _Apt.make(suite, architecture, work)
    apt("update", timeout_s=_UPDATE_S)
    apt("download", *names, timeout_s=_DOWNLOAD_S)
    root = work / "root"
    for archive in sorted(apt.archives.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(archive), str(root)], apt.archives, _DOWNLOAD_S)
    return root


class _Apt:
    """apt-get with everything that it writes below one folder."""

    def __init__(self, options: list[str], archives: Path) -> None:
        self.archives = archives
        self._options = options

    @classmethod
    def make(cls, suite: str, architecture: str, work: Path) -> _Apt:
        lines = apt_lines(suite)
        if not lines:
            raise CannotRun("this box's apt knows no mirror of Debian")
        folder = work / "apt"
        archives = folder / "archives"
        for path in (folder / "state/lists/partial", archives / "partial"):
            path.mkdir(parents=True)
        signed = [line.replace("deb ", f"deb [signed-by={DEBIAN_KEYS}] ", 1) for line in lines]
        (folder / "sources.list").write_text("\n".join([*signed, ""]))
        (folder / "status").touch()
        (folder / "apt.conf").write_text(_SETTINGS)
        paths = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder,
            "Dir::Etc::SourceList": folder / "sources.list",
            "APT::Architecture": architecture,
        }
        options = [word for name, value in paths.items() for word in ("-o", f"{name}={value}")]
        return cls(["-c", str(folder / "apt.conf"), *options], archives)

    def __call__(self, *argv: str, timeout_s: float) -> None:
        _run(["apt-get", "-qq", *self._options, *argv], self.archives, timeout_s)


def _run(argv: list[str], folder: Path, timeout_s: float) -> None:
    try:
        subprocess.run(
            argv,
            cwd=folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except FileNotFoundError:
        raise CannotRun(f"there is no {argv[0]} on this box") from None
    except subprocess.TimeoutExpired:
        raise CannotRun(f"{argv[0]} had not done after {timeout_s:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise CannotRun(_cause(argv[0], error.output)) from error


def _cause(program: str, output: str) -> str:
    """Return the first error that a program told, in one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")]
    told = (errors or lines or ["it did not say why"])[0]
    return f"{program}: {told}"
