"""The probes' figures beside the driver's own counters, which netlink tells."""

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from probes.figures.tracer import Tracer
from probes.hooks import modules
from probes.hooks.spec import FIGURES, Style
from tests.kernel import probe_support as support
from tests.kernel.daemon_support import until
from tests.kernel.test_probes_verdicts import ROWS

pytestmark = pytest.mark.kernel

FRAME = support.PPP_IP + support.ip_packet()


@pytest.fixture
def pair() -> Iterator[Any]:
    modules.load_driver()
    with support.tunnel_pair(f"agree{os.getpid()}", (7, 9), (17, 19)) as pair:
        yield pair


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    tracer = Tracer()
    yield tracer
    tracer.close()


def attach_units(pair: Any) -> None:
    pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
    pair.right.sessions[0].attach_unit("10.64.0.2/32", "10.64.0.1")


def ping(pair: Any, count: int) -> None:
    pair.left.namespace.run("ping", "-q", "-c", str(count), "-i", "0.02", "-W", "10", "10.64.0.2")
    pair.settle()


def beside(tracer: Tracer, end: Any, session_id: int) -> Any:
    return support.row_of(tracer.snapshot(), end, session_id)["driver"]


def test_a_known_workload_reconciles() -> None:
    modules.load_driver()
    # The tracer first: a fixture's tunnel would be older than it.
    tracer = Tracer()
    try:
        with support.tunnel_pair(f"later{os.getpid()}", (7, 9), (17, 19)) as later:
            attach_units(later)
            ping(later, 23)
            for end, session_id in ((later.left, 9), (later.right, 19)):
                of_session, of_tunnel = (beside(tracer, end, n) for n in (session_id, 0))
                assert (of_session["differs"], of_session["older"]) == ({}, {})
                assert of_session["counters"]["rx_packets"] == 23
                assert of_session["counters"]["tx_packets"] == 23
                assert (of_tunnel["differs"], of_tunnel["older"]) == ({}, {})
                assert of_tunnel["counters"]["rx_packets"] == 23
    finally:
        tracer.close()


@pytest.mark.long
def test_a_tunnel_with_traffic_from_before_the_probes_is_not_accused(pair: Any) -> None:
    attach_units(pair)
    ping(pair, 5)
    tracer = Tracer()
    try:
        tracer.note_older()
        ping(pair, 3)
        row = support.row_of(tracer.snapshot(), pair.right, 19)
        assert (row["data_packets"], row["tx_packets"]) == (3, 3)
        assert row["driver"]["agrees"]
        assert row["driver"]["older"]["rx_packets"] == row["driver"]["older"]["tx_packets"] == 5
        assert row["driver"]["counters"]["rx_packets"] == 8
        assert beside(tracer, pair.right, 0)["agrees"]
    finally:
        tracer.close()


@pytest.mark.long
def test_what_the_probes_miss_does_not_reconcile(pair: Any) -> None:
    blind = FIGURES._replace(
        hooks=tuple(
            hook._replace(function="no_such_function") if hook.function == "l2tp_xmit_skb" else hook
            for hook in FIGURES.hooks
        )
    )
    tracer = Tracer(blind)
    try:
        tracer.note_older()
        attach_units(pair)
        ping(pair, 4)
        differs = beside(tracer, pair.right, 19)["differs"]
        assert differs["tx_packets"] == {"probes": 0, "driver": 4}
        assert "rx_packets" not in differs
    finally:
        tracer.close()


def test_what_another_processor_takes_from_the_queue_is_not_lost_from_sight(
    tracer: Tracer, pair: Any
) -> None:
    """All data goes through the session's queue, and who empties it takes what others put there."""
    attach_units(pair)

    def flood(cpu: int) -> None:
        words = ("ping", "-q", "-f", "-c", "3000", "-W", "10", "10.64.0.2")
        pair.left.namespace.run("taskset", "-c", str(cpu), *words)

    floods = [threading.Thread(target=flood, args=(cpu,)) for cpu in os.sched_getaffinity(0)]
    for thread in floods:
        thread.start()
    for thread in floods:
        thread.join()
    pair.settle()
    snapshot = tracer.snapshot()
    for end, session_id in ((pair.left, 9), (pair.right, 19)):
        row = support.row_of(snapshot, end, session_id)
        assert row["verdicts"] == {"delivered": row["data_packets"], "sent": row["tx_packets"]}
        assert row["latency_packets"] == row["data_packets"]
        assert row["driver"]["agrees"]
    assert snapshot["lost_events"] == 0


@pytest.mark.long
@pytest.mark.parametrize(("make", "_"), ROWS, ids=lambda value: getattr(value, "__name__", ""))
def test_every_verdict_reconciles(make: Any, _: Any) -> None:
    tracer = Tracer()
    try:
        with support.tunnel_pair(f"row{os.getpid()}") as pair:
            make(pair)
            pair.settle()
            rows = [
                row
                for row in tracer.snapshot()["figures"]
                if row["netns"] == pair.right.namespace.inum and row["driver"] is not None
            ]
            assert rows
            assert [row["driver"]["differs"] for row in rows] == [{}] * len(rows)
    finally:
        tracer.close()


@pytest.mark.long
def test_figures_reconcile_while_packets_are_under_way(pair: Any, tracer: Tracer) -> None:
    attach_units(pair)
    tracer.note_older()
    with pair.left.namespace.flood("10.64.0.2"):
        seen = 0
        for _ in range(20):
            row = support.row_of(tracer.snapshot(), pair.right, 19)
            if row:
                assert row["driver"]["differs"] == {}
                seen = row["data_packets"]
    assert seen > 0


@pytest.mark.long
@pytest.mark.parametrize("style", list(Style), ids=lambda style: style.value)
def test_packets_on_their_way_while_the_probes_come_are_no_losses(pair: Any, style: Style) -> None:
    attach_units(pair)
    echo = support.PPP_LCP + b"\x09\x01\x00\x08\0\0\0\0"
    done = threading.Event()

    def chatter() -> None:
        while not done.is_set():
            for end, other in (pair.ends, pair.ends[::-1]):
                end.sessions[0].send_ppp(echo)
                with contextlib.suppress(BlockingIOError):  # read it, as pppd does
                    os.read(other.sessions[0].files[0], 1500)

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        tracer = Tracer(styles=[style])
        tracer.note_older()
        until(lambda: sum(r["tx_packets"] for r in tracer.snapshot()["figures"]) > 50, "traffic")
    finally:
        done.set()
        thread.join()
    try:
        pair.settle()
        snapshot = tracer.snapshot()
    finally:
        tracer.close()
    assert snapshot["lost_events"] == 0, snapshot["losses"]
    for end, session_id in ((pair.left, 9), (pair.right, 19)):
        row = support.row_of(snapshot, end, session_id)
        assert "lost_from_sight" not in row["verdicts"]
        assert row["driver"]["differs"] == {}
