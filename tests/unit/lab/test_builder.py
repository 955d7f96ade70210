"""Up and down, interrupted everywhere, in a world in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import LabError
from lab.network.builder import down, start, up
from lab.network.ledger import FILE_NAME, Ledger
from lab.network.memory_world import MemoryWorld, Namespace
from lab.network.plan import Plan, Process, kind_of, make_plan
from lab.topology import Topology, load_topology


class Killed(BaseException):
    """What the maker of a lab sees of a kill -9: nothing more ever runs."""


class Executioner:
    """Lets a number of changes happen, then none any more."""

    def __init__(self, changes: int) -> None:
        self.left = changes
        self.words: list[str] = []

    def __call__(self, word: str) -> None:
        if self.left <= 0:
            raise Killed
        self.left -= 1
        self.words.append(word)


@pytest.fixture(scope="module")
def topology() -> Topology:
    return load_topology("default")


def plan_in(folder: Path, topology: Topology) -> Plan:
    daemon = Process("lac", "lab-lac", ("sleep", "inf"), str(folder / "log"))
    return make_plan(topology, runtime=folder / "lab", processes=(daemon,))


def is_empty(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())


def count_changes(topology: Topology, folder: Path) -> int:
    executioner = Executioner(10_000)
    up(plan_in(folder, topology), MemoryWorld(before=executioner))
    return len(executioner.words)


def test_up_makes_all_and_down_leaves_nothing(topology: Topology, tmp_path: Path) -> None:
    world = MemoryWorld()
    up(plan_in(tmp_path / "run", topology), world)
    assert sorted(world.names) == ["lab-core", "lab-inet", "lab-lac", "lab-lns"]
    assert world.names["lab-core"].links == {"lo", "lac", "lns"}
    assert len(world.processes) == 1

    downfall = down(tmp_path / "run" / "lab", world)

    assert downfall.complete
    assert downfall.notes == ()
    assert (world.names, world.processes) == ({}, {})
    assert is_empty(tmp_path / "run")


def test_down_twice_is_no_error(topology: Topology, tmp_path: Path) -> None:
    world = MemoryWorld()
    up(plan_in(tmp_path / "run", topology), world)
    down(tmp_path / "run" / "lab", world)
    assert down(tmp_path / "run" / "lab", world).removals == ()


def test_up_twice_is_refused_and_the_first_lab_stays(topology: Topology, tmp_path: Path) -> None:
    world = MemoryWorld()
    plan = plan_in(tmp_path / "run", topology)
    up(plan, world)
    with pytest.raises(LabError, match=r"is up already.*l2tp-lab down --lab lab"):
        up(plan, world)
    assert len(world.names) == 4


def test_a_foreign_namespace_is_named_before_anything_is_made(
    topology: Topology, tmp_path: Path
) -> None:
    foreign = Namespace(cookie=7, inode=7)
    world = MemoryWorld(names={"lab-lns": foreign})
    with pytest.raises(LabError, match="lab-lns"):
        up(plan_in(tmp_path / "run", topology), world)
    assert world.names == {"lab-lns": foreign}
    assert is_empty(tmp_path / "run")


def test_a_namespace_that_took_our_name_and_inode_is_left_alone(
    topology: Topology, tmp_path: Path
) -> None:
    world = MemoryWorld()
    up(plan_in(tmp_path / "run", topology), world)
    ours = world.names["lab-lns"]
    foreign = Namespace(cookie=4711, inode=ours.inode)
    world.names["lab-lns"] = foreign

    downfall = down(tmp_path / "run" / "lab", world)

    assert world.names == {"lab-lns": foreign}
    assert len(downfall.notes) == 1 and "lab-lns" in downfall.notes[0]
    assert is_empty(tmp_path / "run")


def test_after_a_reboot_nothing_is_ours(topology: Topology, tmp_path: Path) -> None:
    world = MemoryWorld()
    up(plan_in(tmp_path / "run", topology), world)
    world.reboot()
    foreign = Namespace(cookie=1, inode=1)
    world.names["lab-lac"] = foreign

    down(tmp_path / "run" / "lab", world)

    assert world.names == {"lab-lac": foreign}
    assert is_empty(tmp_path / "run")


def test_a_failing_up_takes_back_what_it_made(topology: Topology, tmp_path: Path) -> None:
    class Refusing(Executioner):
        def __call__(self, word: str) -> None:
            if self.left == 0:
                self.left = 10_000  # only once: what takes back must be able to
                raise LabError("the kernel says no")
            super().__call__(word)

    for changes in range(0, count_changes(topology, tmp_path / "all"), 7):
        world = MemoryWorld(before=Refusing(changes))
        with pytest.raises(LabError, match="the kernel says no"):
            up(plan_in(tmp_path / "run", topology), world)
        assert (world.names, world.processes) == ({}, {})
        assert is_empty(tmp_path / "run")


def test_a_process_started_later_goes_too(topology: Topology, tmp_path: Path) -> None:
    world = MemoryWorld()
    folder = tmp_path / "run" / "lab"
    up(plan_in(tmp_path / "run", topology), world)
    start(
        Process("iperf3", "lab-inet", ("iperf3", "-s"), str(folder / "iperf3.log")), world, folder
    )
    assert len(world.processes) == 2
    down(folder, world)
    assert world.processes == {}


@pytest.fixture(scope="module")
def changes(topology: Topology, tmp_path_factory: pytest.TempPathFactory) -> int:
    return count_changes(topology, tmp_path_factory.mktemp("count"))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_killed_anywhere_then_down_leaves_nothing(
    data: st.DataObject,
    topology: Topology,
    changes: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    foreign = Namespace(cookie=0, inode=99)
    world = MemoryWorld(names={"other": foreign}, before=Executioner(0))
    world.before = Executioner(
        data.draw(st.integers(0, changes - 1), label="changes before up dies")
    )
    with pytest.raises(Killed):
        up(plan_in(folder, topology), world)
    world.kill_maker()

    world.before = Executioner(data.draw(st.integers(0, 20), label="changes before down dies"))
    try:
        down(folder / "lab", world)
    except Killed:
        world.kill_maker()
    world.before = Executioner(10_000)
    down(folder / "lab", world)

    assert world.names == {"other": foreign}
    assert world.processes == {}
    assert is_empty(folder)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_killed_while_writing_the_ledger(
    data: st.DataObject, topology: Topology, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The ledger's last group is torn at any byte; of that group nothing has been made yet."""
    folder = tmp_path_factory.mktemp("torn")
    plan = plan_in(folder, topology)
    titles = ["names of namespaces", "namespaces", "links", "processes"]
    title = data.draw(st.sampled_from(titles))
    group = next(group for group in plan.groups if group.title == title)
    world = MemoryWorld()
    sizes: list[int] = []
    path = folder / "lab" / FILE_NAME

    class BeforeMaking(Executioner):
        """Dies at the first thing of the group, when its lines have just been written."""

        def __call__(self, word: str) -> None:
            if word == "make" and Ledger.open(folder / "lab").entries()[-1].kind == kind:
                self.words.append("dead")
            if self.words:
                raise Killed
            if word == "make":
                sizes.append(path.stat().st_size)

    kind = kind_of(group.steps[0])
    world.before = BeforeMaking(0)
    with pytest.raises(Killed):
        up(plan, world)
    world.kill_maker()
    begin = sizes[-1] if sizes else path.read_bytes().index(b"\n") + 1
    share = data.draw(st.floats(0, 1), label="share of the last lines that is kept")
    keep = begin + round(share * (path.stat().st_size - begin))
    with path.open("r+b") as file:
        file.truncate(keep)

    world.before = Executioner(10_000)
    assert down(folder / "lab", world).complete
    assert (world.names, world.processes) == ({}, {})
    assert is_empty(folder)
