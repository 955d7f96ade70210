"""Two labs never meet, and nobody else's folder is used."""

from pathlib import Path

import pytest

from lab.errors import CannotRun
from lab.places.appliance.machine import Home
from lab.places.appliance.paths import Cache, default_cache


@pytest.fixture(autouse=True)
def own_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def test_the_environment_names_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2TP_LAB_CACHE", str(tmp_path / "cache"))
    assert default_cache() == Cache(tmp_path / "cache")
    monkeypatch.delenv("L2TP_LAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == Cache(tmp_path / "xdg" / "l2tp-lab")


def test_two_labs_and_two_caches_share_no_file(tmp_path: Path) -> None:
    homes = [
        Home.of(Cache(tmp_path / cache), lab) for cache in ("one", "two") for lab in ("lab", "ci")
    ]
    for name in ("disk", "log", "record", "pid_file", "monitor", "control"):
        assert len({getattr(home, name) for home in homes}) == 4


def test_a_sockets_path_is_short_whatever_the_cache(tmp_path: Path, own_runtime: Path) -> None:
    home = Home.of(Cache(tmp_path / ("deep/" * 40)), "a-lab-with-a-very-long-name-" * 4)
    below = home.control.relative_to(own_runtime)
    # ssh adds a suffix of 17 characters while it makes the socket.
    assert len(f"/run/user/1000000/{below}") + 17 < 107


def test_the_runtime_folder_is_private(tmp_path: Path) -> None:
    home = Home.of(Cache(tmp_path), "lab")
    assert home.runtime.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_read_is_refused(own_runtime: Path, tmp_path: Path) -> None:
    (own_runtime / "l2tp-lab").mkdir(mode=0o755)
    (own_runtime / "l2tp-lab").chmod(0o755)
    with pytest.raises(CannotRun, match="0700"):
        Home.of(Cache(tmp_path), "lab")


def test_a_link_in_its_place_is_refused(own_runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir(mode=0o777)
    (own_runtime / "l2tp-lab").symlink_to(tmp_path / "foreign")
    with pytest.raises(CannotRun, match="0700"):
        Home.of(Cache(tmp_path), "lab")
