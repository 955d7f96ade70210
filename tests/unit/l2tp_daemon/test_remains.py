"""What a killed daemon left: found by its journal and its mark, and nothing else."""

import json
import os
import subprocess

import pytest

from l2tp.daemon.remains import MARK, AlreadyRunning, Remains
from l2tp.kernel.leftovers import KernelTunnel
from l2tp.protocol.parameters import Address

ONE = KernelTunnel(1, 11, Address("192.0.2.1", 1701), Address("192.0.2.2", 1701))
TWO = KernelTunnel(2, 12, Address("2001:db8::1", 40000), Address("2001:db8::2", 1701))


@pytest.fixture
def removed(monkeypatch):
    """What the kernel would be asked to remove."""
    asked = []

    def remove(tunnels):
        asked.extend(tunnels)
        return tunnels[:1]

    monkeypatch.setattr("l2tp.daemon.remains.remove_tunnels", remove)
    return asked


def killed(remains):
    """End as a kill does: descriptors are closed, and nothing is said."""
    os.close(remains._journal)
    os.close(remains._lock)


def begin(folder):
    remains = Remains(folder)
    remains.clear()
    return remains


def sleeper(mark=None):
    environment = {"PATH": os.environ["PATH"]} | ({MARK: str(mark)} if mark else {})
    return subprocess.Popen(["sleep", "600"], env=environment)


def test_a_full_disk_costs_notes_and_not_the_tunnel(tmp_path, removed):
    first = begin(tmp_path)
    os.write(first._journal, b'{"add": [5, 6, "192.')
    first.add(ONE)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, first._journal)
    os.close(full)
    first.add(TWO)
    killed(first)
    begin(tmp_path).close()
    assert removed == [ONE]


def test_a_successor_clears_what_is_in_the_journal(tmp_path, removed):
    first = begin(tmp_path)
    first.add(ONE)
    first.add(TWO)
    first.remove(1)
    first.add(ONE._replace(peer_tunnel_id=99))
    killed(first)
    with (tmp_path / "kernel.jsonl").open("a") as journal:
        journal.write('{"add": [5, 6, "192.')
    second = begin(tmp_path)
    assert removed == [TWO, ONE._replace(peer_tunnel_id=99)]
    assert second.cleared_tunnels == [TWO]
    second.close()


def test_an_orderly_end_leaves_nothing_to_clear(tmp_path, removed):
    first = begin(tmp_path)
    first.add(ONE)
    first.close()
    assert not (tmp_path / "kernel.jsonl").exists()
    second = begin(tmp_path)
    assert (second.cleared_tunnels, second.cleared_pids, removed) == ([], [], [])
    second.close()


def test_a_living_daemon_is_left_alone(tmp_path, removed):
    first = begin(tmp_path)
    first.add(ONE)
    with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}\).*kill {os.getpid()}"):
        Remains(tmp_path)
    assert removed == []
    assert json.loads((tmp_path / "kernel.jsonl").read_text())["add"][:2] == [1, 11]
    first.close()


def test_only_processes_with_the_folders_mark_are_killed(tmp_path, removed):
    other = tmp_path / "other"
    killed(begin(tmp_path))
    processes = [sleeper(tmp_path), sleeper(other), sleeper()]
    try:
        remains = begin(tmp_path)
        assert remains.cleared_pids == [processes[0].pid]
        assert processes[0].wait(20) == -9
        assert [one.poll() for one in processes[1:]] == [None, None]
        remains.close()
    finally:
        for process in processes:
            process.kill()
            process.wait()
