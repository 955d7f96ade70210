"""The guest gets the host's own versions, with everything they need."""

from importlib import metadata

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
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Package:
        try:
            return INSTALLED[name.lower()]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(metadata, "distribution", find)


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
