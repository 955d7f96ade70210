"""What the tests of daemons share."""

from pathlib import Path

import pytest

from tests.support.daemon_pair import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A LAC and an LNS that are not started yet."""
    return Pair(tmp_path)
