"""Plans: what is made of a topology, in which order, and what is printed of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.network.plan import (
    Address,
    LinkUp,
    Netem,
    Netns,
    Process,
    Route,
    Step,
    Sysctl,
    Veth,
    kind_of,
    make_plan,
    runtime_folder,
)
from lab.network.plan_text import DO, UNDO, netem_words, plan_lines
from lab.running.daemons import daemon_files, daemon_processes, tracer_process
from lab.topology import Impairment, load_topology

GOLDEN = Path(__file__).parents[2] / "golden" / "plans"
ALL_KINDS = set(Step.__args__)


@pytest.mark.parametrize("name", ["default", "two-lacs"])
@pytest.mark.parametrize("undo", [False, True], ids=["up", "down"])
def test_printed_plans_are_golden(name: str, undo: bool) -> None:
    topology, folder = load_topology(name), runtime_folder("lab")
    plan = make_plan(
        topology,
        tracer=tracer_process(folder),
        files=daemon_files(topology, folder),
        processes=daemon_processes(topology, folder, python="python3"),
    )
    written = "\n".join(plan_lines(plan, undo=undo)) + "\n"
    golden = GOLDEN / f"{name}-{'down' if undo else 'up'}.txt"
    if os.environ.get("L2TP_LAB_GOLDEN") == "write":
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")


def test_every_kind_of_step_can_be_said() -> None:
    assert set(DO) == set(UNDO) == ALL_KINDS


@pytest.mark.parametrize("name", ["default", "two-lacs"])
def test_nothing_is_used_before_it_is_made(name: str) -> None:
    topology = load_topology(name)
    files = daemon_files(topology, runtime_folder("lab"))
    processes = daemon_processes(topology, runtime_folder("lab"))
    namespaces: set[str] = set()
    links: set[tuple[str, str]] = set()
    addressed: set[tuple[str, str]] = set()
    up: set[tuple[str, str]] = set()
    for step in make_plan(topology, files=files, processes=processes).steps():
        match step:
            case Netns():
                namespaces.add(step.name)
                links.add((step.name, "lo"))
            case Sysctl():
                assert step.netns in namespaces
                assert not any(
                    netns == step.netns and interface != "lo" for netns, interface in links
                ), "a default must be set before the interfaces that take it"
            case Veth():
                assert {step.netns, step.peer_netns} <= namespaces
                links |= {(step.netns, step.interface), (step.peer_netns, step.peer_interface)}
            case Address():
                assert (step.netns, step.interface) in links
                addressed.add((step.netns, step.interface))
            case LinkUp():
                assert (step.netns, step.interface) in links
                up.add((step.netns, step.interface))
            case Route():
                assert any(netns == step.netns for netns, _ in up & addressed)
            case Netem():
                assert (step.netns, step.interface) in links
            case Process():
                assert step.netns in namespaces
            case _:
                assert kind_of(step) in ("namesfolder", "folder", "file")
    assert up == links


@pytest.mark.parametrize("name", ["default", "two-lacs"])
def test_no_two_ends_share_an_index(name: str) -> None:
    steps = [step for step in make_plan(load_topology(name)).steps() if isinstance(step, Veth)]
    indices = [index for step in steps for index in (step.index, step.peer_index)]
    assert len(indices) == len(set(indices))


def test_secrets_are_readable_by_root_alone_and_in_no_printed_plan() -> None:
    topology = load_topology("two-lacs")
    plan = make_plan(topology, files=daemon_files(topology, runtime_folder("lab")))
    printed = "\n".join(plan_lines(plan))
    for user in topology.l2tp.users:
        assert user.password not in printed
        for step in plan.steps():
            if user.password in str(step):
                assert getattr(step, "mode", None) == 0o600, step


@pytest.mark.parametrize(
    ("impairment", "words"),
    [
        (Impairment(delay_ms=20), "delay 20ms"),
        (Impairment(delay_ms=20, jitter_ms=0.5), "delay 20ms 0.5ms"),
        (Impairment(loss_percent=0.25, rate_kbit=64), "loss 0.25% rate 64kbit"),
        (
            Impairment(delay_ms=1, reorder_percent=25, reorder_gap_packets=5),
            "delay 1ms reorder 25% gap 5",
        ),
        (Impairment(duplicate_percent=1, corrupt_percent=2), "duplicate 1% corrupt 2%"),
        (Impairment(limit_packets=10), "limit 10"),
        (Impairment(), ""),
    ],
)
def test_impairments_in_the_words_of_tc(impairment: Impairment, words: str) -> None:
    assert " ".join(netem_words(impairment)) == words
