"""The version that a daemon reports is the package's."""

import tomllib
from pathlib import Path

from l2tp import VERSION


def test_the_version_is_the_packages():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
