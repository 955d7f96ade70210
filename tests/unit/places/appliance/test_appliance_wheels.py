"""The guest gets the host's own versions, with everything they need."""

import os
import sys
from importlib import metadata
from pathlib import Path

import pytest

from lab.errors import CannotRun
from lab.places.appliance import wheels


class Package:
    def __init__(self, version: str, *requires: str) -> None:
        self.version = version
        self.requires = list(requires)


INSTALLED = {
    "l2tp-lab": Package(
        "0", "rich>=13", 'ansible-core; extra == "host"', 'pytest>=8; extra == "test"'
    ),
    "rich": Package("15.0", "pygments", 'ipywidgets; extra == "jupyter"'),
    "pygments": Package("2.21"),
    "pytest": Package("9.2", 'tomli; python_version < "3.11"', 'colorama; sys_platform == "win32"'),
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What is installed, in a folder of packages that may change; what is remembered is ours."""
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    monkeypatch.setenv("L2TP_LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()

    def find(name: str) -> Package:
        try:
            return INSTALLED[name.lower()]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(metadata, "distribution", find)
    return packages


def test_they_are_looked_for_again_when_something_was_installed(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = wheels.guest_wheels("3.13")
    monkeypatch.setitem(INSTALLED, "rich", Package("16.0"))
    assert wheels.guest_wheels("3.13") == before
    assert "rich==16.0" in wheels.guest_wheels("3.12")
    os.utime(installed, ns=(1, 1))
    assert wheels.guest_wheels("3.13") == ["pytest==9.2", "rich==16.0"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"state": 1}'])
def test_what_is_remembered_may_be_broken(text: str, tmp_path: Path) -> None:
    (tmp_path / "cache" / "wheels.json").write_text(text)
    assert "rich==15.0" in wheels.guest_wheels("3.13")


def test_versions_are_pinned_and_what_the_guest_does_not_need_is_left_out() -> None:
    assert wheels.guest_wheels("3.13") == ["pygments==2.21", "pytest==9.2", "rich==15.0"]


def test_markers_are_judged_for_the_guests_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INSTALLED, "tomli", Package("2.0"))
    assert "tomli==2.0" in wheels.guest_wheels("3.10")
    assert "tomli==2.0" not in wheels.guest_wheels("3.13")


def test_a_missing_package_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(INSTALLED, "pygments")
    with pytest.raises(CannotRun, match=r"pygments is not installed.*pip install"):
        wheels.guest_wheels("3.13")
