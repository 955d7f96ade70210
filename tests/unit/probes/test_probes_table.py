"""The table on the terminal."""

from pathlib import Path

from probes.aggregate import figure_row
from probes.events import FIGURE, FIGURE_KEY, LATENCY_SLOTS, Loss
from probes.snapshot import HookState, Snapshot
from probes.table import draw, netns_names

SLOTS = [0] * 10 + [23] + [0] * (LATENCY_SLOTS - 11)
ROW = figure_row(
    FIGURE_KEY.pack(1, 4026532000, 7, 9, 2),
    FIGURE.pack(0, 5, 23, 1, 0, 60, 900, 30, 77, 2, 23 * 1500, *SLOTS),
)


def hook(attached: bool, missed: int | None = 0) -> HookState:
    return HookState(
        name="netif_rx",
        program="receive",
        how="fentry" if attached else None,
        attached=attached,
        reason="" if attached else "it is not there",
        hides="" if attached else "all latencies",
        missed=missed,
    )


def snapshot(*hooks: HookState, figures: bool = True, full: int = 0) -> Snapshot:
    losses = {loss.name.lower(): 0 for loss in Loss}
    losses["figures_full"] = full
    return Snapshot(
        hooks=list(hooks),
        lost_events=full,
        losses=losses,
        figures=[ROW] if figures else [],
        time_ns=1,
    )


def test_a_row_stands_under_its_head() -> None:
    head, row = draw(snapshot(hook(True)), {4026532000: "lab-lns"}).splitlines()
    cells = dict(zip(head.split(), row.split(), strict=True))
    assert cells["netns"] == "lab-lns"
    assert (cells["tunnel"], cells["session"]) == ("7", "9")
    assert (cells["data"], cells["control"], cells["unknown"]) == ("24", "5", "1")
    assert (cells["consumed"], cells["passed_up"]) == ("23", "6")
    assert 1.0 <= float(cells["p50_us"]) <= 2.0
    assert len(head) == len(row)


def test_a_namespace_without_a_name_shows_its_number() -> None:
    assert "4026532000" in draw(snapshot(hook(True)), {})


def test_nothing_seen_yet_is_said() -> None:
    assert "no datagram" in draw(snapshot(hook(True), figures=False), {})


def test_what_is_hidden_and_what_is_lost_stands_below() -> None:
    lines = draw(snapshot(hook(False), hook(True, missed=3), full=4), {}).splitlines()[2:]
    assert lines == [
        "not attached: netif_rx: hides all latencies (it is not there)",
        "lost: 4 datagrams of a netns, tunnel and session for which the table had no room",
        "lost: 3 runs of netif_rx that the kernel skipped",
    ]


def test_namespaces_are_named_by_their_inode(tmp_path: Path) -> None:
    (tmp_path / "lab-lac").write_text("")
    assert netns_names(tmp_path) == {(tmp_path / "lab-lac").stat().st_ino: "lab-lac"}
    assert netns_names(tmp_path / "missing") == {}
