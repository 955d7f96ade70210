"""What the benchmark of set-ups lays out, before anything of it runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.bench.setup import CONTESTANTS, Contestant, _files, _processes, cpu_ns, topology_of
from lab.errors import LabError
from lab.network.plan import File

COUNT = 7


@pytest.mark.parametrize("one", CONTESTANTS, ids=lambda one: one.name)
def test_each_contestant_has_as_many_sessions(one: Contestant, tmp_path: Path) -> None:
    topology = topology_of(one, COUNT)
    calls = [len(tunnel.calls) for tunnel in topology.l2tp.tunnels]
    assert sum(calls) == COUNT
    assert len(calls) == (1 if one.one_tunnel else COUNT)
    assert [process.name for process in _processes(topology, tmp_path)] == ["lns", "lac"]


@pytest.mark.parametrize("one", CONTESTANTS, ids=lambda one: one.name)
def test_nobody_calls_before_it_is_measured(one: Contestant, tmp_path: Path) -> None:
    files = {
        str(Path(step.path).relative_to(tmp_path)): step.content
        for step in _files(topology_of(one, COUNT), tmp_path)
        if isinstance(step, File)
    }
    assert "pppd" in files
    config = files.get("lac/config.toml")
    if config is None:
        assert files["lac/xl2tpd/xl2tpd.conf"].count("autodial = no") == COUNT
    else:
        assert config.count("at_start = false") == config.count("[[tunnel]]") >= 1


def test_cpu_time_is_the_kernels() -> None:
    before = cpu_ns(os.getpid())
    # The kernel adds what a running process takes at its ticks.
    while cpu_ns(os.getpid()) == before:
        sum(range(10_000))
    assert cpu_ns(os.getpid()) > before > 0
    with pytest.raises(LabError, match="has the daemon ended"):
        cpu_ns(2**22 + 1)
