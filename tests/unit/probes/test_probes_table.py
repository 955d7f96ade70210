"""The table on the terminal."""

from pathlib import Path
from typing import Any

from probes.figures.aggregate import figure_row
from probes.figures.events import FIGURE, FIGURE_KEY, LATENCY_SLOTS, Loss
from probes.figures.snapshot import Difference, Reconciliation, Snapshot
from probes.figures.table import cost, draw, draw_numbers, ends_text, netns_names, rounded
from probes.figures.verdicts import Verdict
from probes.hooks.state import HookState

SLOTS = [0] * 10 + [23] + [0] * (LATENCY_SLOTS - 11)
ENDS = [0] * len(Verdict)
ENDS[Verdict.DELIVERED], ENDS[Verdict.CONTROL], ENDS[Verdict.UNKNOWN_SESSION] = 23, 5, 1
ROW = figure_row(
    FIGURE_KEY.pack(1, 4026532000, 7, 9, 2),
    FIGURE.pack(
        *(0, 5, 23, 1, 0, 60, 900, 30, 77, 2, 23 * 1500, 900, 5000, 3),
        *ENDS,
        *SLOTS,
        *[0] * LATENCY_SLOTS,
    ),
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
        run_count=0,
        run_ns=0,
    )


def snapshot(*hooks: HookState, figures: bool = True, full: int = 0) -> Snapshot:
    losses = {loss.name.lower(): 0 for loss in Loss}
    losses["figures_full"] = full
    return Snapshot(
        hooks=list(hooks),
        lost_events=full,
        losses=losses,
        figures=[ROW] if figures else [],
        evicted_figures=0,
        costs_measured=False,
        not_reconciled="",
        one_in=1,
        time_ns=1,
    )


def test_a_row_stands_under_its_head() -> None:
    head, row, _ = draw(snapshot(hook(True)), {4026532000: "lab-lns"}).splitlines()
    cells = dict(zip(head.split(), row.split(), strict=True))
    assert cells["netns"] == "lab-lns"
    assert (cells["tunnel"], cells["session"]) == ("7", "9")
    assert (cells["data"], cells["ctrl"], cells["unkn"]) == ("24", "5", "1")
    assert (cells["sent"], cells["wait"], cells["drop"]) == ("0", "0", "0")
    assert 1.0 <= float(cells["p50_us"]) <= 2.0
    assert len(head) == len(row)


def test_a_namespace_without_a_name_shows_its_number() -> None:
    assert "4026532000" in draw(snapshot(hook(True)), {})


def test_nothing_seen_yet_is_said() -> None:
    assert "no datagram" in draw(snapshot(hook(True), figures=False), {})


def test_what_is_hidden_and_what_is_lost_stands_below() -> None:
    lines = draw(snapshot(hook(False), hook(True, missed=3), full=4), {}).splitlines()[2:]
    assert lines == [
        "4026532000 7/9: 1 data of an unknown session, passed up (no L2TP counter knows)",
        "not attached: netif_rx: hides all latencies (it is not there)",
        "lost: 4 datagrams of a netns, tunnel and session for which the table had no room",
        "lost: 3 runs of netif_rx that the kernel skipped",
    ]


def test_namespaces_are_named_by_their_inode(tmp_path: Path) -> None:
    (tmp_path / "lab-lac").write_text("")
    assert netns_names(tmp_path) == {(tmp_path / "lab-lac").stat().st_ino: "lab-lac"}
    assert netns_names(tmp_path / "missing") == {}


def test_a_name_that_is_just_given_or_taken_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "lab-lac").write_text("")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert list(netns_names(tmp_path).values()) == ["lab-lac"]


def test_sessions_that_the_driver_was_not_asked_about_are_told() -> None:
    rows: list[Any] = [{**ROW, "uses": 1}, {**ROW, "uses": 1, "ended_ns": 5}, ROW]
    text = draw({**snapshot(hook(True)), "figures": rows}, {})
    assert "not held against the driver's own counters: 1 of these" in text
    trouble = draw({**snapshot(hook(True)), "figures": rows, "not_reconciled": "none"}, {})
    assert "of these" not in trouble


def test_a_narrow_terminal_has_room() -> None:
    head, row, *_ = draw(snapshot(hook(True)), {4026532000: "lab-lns"}).splitlines()
    assert len(head) == len(row) <= 80


def many(**more: Any) -> list[str]:
    row: Any = {**ROW, "tunnel_id": 65535, "session_id": 65535, "verdicts": {}, **more}
    small: Any = {**ROW, "verdicts": {}}
    return draw({**snapshot(hook(True)), "figures": [row, small]}, {}).splitlines()


def test_thousands_of_millions_of_packets_still_fit() -> None:
    names = ("control_packets", "data_packets", "waiting", "dropped", "data_passed_up",
             "tx_packets")  # fmt: skip
    times = {"latency_ns_p50": 2_147_483_648, "latency_ns_p99": 2_147_483_648}
    head, row, small, note = many(**dict.fromkeys(names, 1_234_567_890), **times)
    assert len(head) == len(row) == len(small) <= 80
    assert row.split()[3:] == ["1.23G"] * 6 + ["2.15M"] * 2
    assert small.split()[4] == "24"
    assert "rounded" in note


def test_what_fits_is_exact() -> None:
    _, row, *rest = many(data_packets=1_234_567, tx_packets=1_234_567)
    assert row.split()[4] == "1234567" and len(row) <= 80
    assert not any("rounded" in line for line in rest)


def test_a_name_that_is_too_long_is_cut_and_its_end_kept() -> None:
    names = {4026532000: "a-namespace-with-a-name-that-nobody-expects-lns"}
    head, row, *_ = draw(snapshot(hook(True)), names).splitlines()
    assert len(head) == len(row) <= 80
    assert row.lstrip().startswith("…") and row.split()[0].endswith("expects-lns")


def test_what_has_ended_is_marked_and_only_then_is_there_a_column_for_it() -> None:
    rows: Any = [{**ROW, "ended_ns": 5, "verdicts": {}}, {**ROW, "session_id": 11, "verdicts": {}}]
    head, ended, living = draw({**snapshot(hook(True)), "figures": rows}, {}).splitlines()
    assert [line.split()[-1] for line in (head, ended, living)] == ["state", "ended", "-"]
    assert len(head) == len(ended) == len(living) <= 80
    assert "state" not in draw({**snapshot(hook(True)), "figures": rows[1:]}, {})


def test_ends_are_counted_by_what_they_are_ends_of() -> None:
    assert ends_text(1, 2) == "1 tunnel end and 2 session ends"
    assert (ends_text(2, 0), ends_text(0, 0)) == ("2 tunnel ends", "no tunnel or session end")


def test_rounded_numbers_have_five_characters_at_most() -> None:
    assert [rounded(n) for n in (9, 9_999, 10_000, 12_345, 99_949, 99_950, 999_499, 999_500)] == [
        "9", "9999", "10.0k", "12.3k", "99.9k", "100k", "999k", "1.00M",
    ]  # fmt: skip
    assert rounded((1 << 64) - 1) == "18.4E"


def test_nothing_that_was_asked_for_is_not_nothing_seen() -> None:
    text = draw(snapshot(hook(True), figures=False), {}, 3)
    assert "no datagram" not in text and "3 other rows" in text
    assert "3 other rows" in draw_numbers(snapshot(hook(True), figures=False), {}, 3)


def test_what_the_probes_cost_is_said_by_packet() -> None:
    hooks = [
        {**hook(True), "name": "l2tp_udp_encap_recv", "run_count": 300, "run_ns": 90_000},
        {**hook(True), "name": "l2tp_xmit_skb", "run_count": 100, "run_ns": 10_000},
    ]
    assert cost(hooks) == "probes: fentry; 250 ns a packet (kernel BPF statistics)"  # type: ignore
    assert "0 packets are too few" in cost([hook(True)])
    few = [{**hook, "run_count": hook["run_count"] // 10} for hook in hooks]
    assert cost(few) == "probes: fentry; 40 packets are too few to measure their cost by"  # type: ignore


def test_the_sequence_view_explains_what_it_shows() -> None:
    row = {**ROW, "verdicts": {"out_of_sequence": 2}}
    row["numbers"] = {
        "rx_numbered": 5, "rx_last_ns": 6, "rx_next_ns": 7, "rx_gaps": 1, "rx_skipped": 2,
        "rx_late": 0, "rx_depth": 0, "rx_resyncs": 1, "nr": 7, "queue": 0, "queue_max": 0,
        "tx_numbered": 0, "tx_last_ns": 0,
    }  # fmt: skip
    text = draw_numbers({**snapshot(hook(True)), "figures": [row]}, {})  # type: ignore
    assert "1 gaps that jumped 2 numbers" in text
    assert "reordering is off" in text
    assert "2 numbers never came" in text
    assert "no session" in draw_numbers(snapshot(hook(True)), {})


def beside(driver: Reconciliation) -> str:
    row: Any = {**ROW, "driver": driver}
    return draw({**snapshot(hook(True)), "figures": [row]}, {4026532000: "lab-lns"})


def test_figures_that_the_driver_does_not_bear_out_are_marked() -> None:
    differs = {"rx_packets": Difference(probes=23, driver=25)}
    text = beside(Reconciliation(agrees=False, counters={}, older={}, differs=differs))
    assert "DOES NOT RECONCILE: lab-lns 7/9: rx_packets: the driver has 25, the probes 23" in text
    assert "counters agree" not in text


def test_what_is_older_than_the_probes_is_told_and_no_fault() -> None:
    older = {"rx_packets": 4, "rx_bytes": 100}
    text = beside(Reconciliation(agrees=True, counters={}, older=older, differs={}))
    assert "lab-lns 7/9: older than the probes, and in no figure here: 4 rx_packets" in text
    assert "the driver's own counters agree for 1 session end" in text


def test_without_the_drivers_counters_the_reason_is_told() -> None:
    text = draw({**snapshot(hook(True)), "not_reconciled": "no family l2tp"}, {})
    assert "not held against the driver's own counters: no family l2tp" in text
