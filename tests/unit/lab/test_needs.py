"""What only some topologies need of a box, and what somebody hears who lacks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.doctor import needs
from lab.doctor.capabilities import SECTIONS, missing
from lab.doctor.model import Need
from lab.doctor.needs import missing_for, require
from lab.errors import CannotRun
from lab.topology import TOPOLOGIES, Topology, load_topology


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find_program", lambda name: None)


def advertised(folder: Path) -> Topology:
    text = (TOPOLOGIES / "default.yml").read_text()
    path = folder / "advertised.yml"
    path.write_text(text.replace(', address: "2001:db8:a::1"}', "}"))
    return load_topology(path)


@pytest.mark.usefixtures("nothing_installed")
def test_a_topology_needs_what_it_uses_and_no_more(tmp_path: Path) -> None:
    programs = {
        name: [need.program for need in missing_for(load_topology(name))]
        for name in ("default", "scale", "vpn", "interop")
    }
    assert programs["default"] == programs["scale"] == []
    assert programs["vpn"] == ["charon-systemd", "swanctl", "pki", "nft"]
    assert programs["interop"] == ["xl2tpd"]
    assert [need.program for need in missing_for(advertised(tmp_path))] == ["radvd"]


@pytest.mark.usefixtures("nothing_installed")
def test_who_lacks_it_hears_which_command_brings_it() -> None:
    require(load_topology("default"))
    with pytest.raises(CannotRun, match=r"Run: apt-get install .* charon-systemd .* nftables$"):
        require(load_topology("vpn"))


def test_the_doctor_shows_them_and_the_set_up_leaves_them_out() -> None:
    rows = SECTIONS["programs that only some topologies need"]
    names = {row.name for row in rows}
    assert names >= {"charon-systemd", "swanctl", "pki", "nft", "radvd", "xl2tpd"}
    assert all(row.packages for row in rows)
    for need in Need:
        assert not names & {row.name for row, _ in missing(need, installable=True)}
