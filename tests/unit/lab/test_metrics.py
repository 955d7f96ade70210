"""Prometheus text: names, units, labels; and who gets it."""

from __future__ import annotations

import http.client
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.errors import LabError
from lab.results.metrics import prometheus_text
from lab.running.metrics_server import MetricsServer, make_token
from probes.errors import ProbeError

ROW = {
    "netns": 101, "netns_cookie": 5, "version": 2, "tunnel_id": 7, "session_id": 9,
    "control_packets": 2, "data_packets": 23,
    "control_bytes": 24, "data_bytes": 2116, "consumed": 23, "passed_up": 2,
    "latency_packets": 3, "latency_ns_total": 3_000, "latency_ns_log2": [0, 0, 1, 2, 0],
    "verdicts": {"delivered": 23},
}  # fmt: skip
HOOK = {
    "name": "netif_rx", "how": None, "attached": False, "hides": "all latencies", "missed": 4,
    "run_count": 10, "run_ns": 5_000,
}  # fmt: skip
SNAPSHOT: dict[str, Any] = {
    "figures": [ROW], "losses": {"figures_full": 1}, "hooks": [HOOK], "evicted_figures": 6,
    "not_reconciled": "no family l2tp", "costs_measured": True,
}  # fmt: skip


def samples(**more: Any) -> dict[tuple[str, tuple[str, ...]], float]:
    order = ("tunnel_id", "session_id", "kind", "verdict", "le", "why", "hook", "hides", "why_not")
    text = prometheus_text(SNAPSHOT | more, {101: "lac"})
    return {
        (sample.name, tuple(sample.labels[name] for name in order if name in sample.labels)): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_have_total_and_their_unit() -> None:
    found = samples()
    assert found["l2tp_rx_packets_total", ("7", "9", "data")] == 23
    assert found["l2tp_rx_bytes_total", ("7", "9", "control")] == 24
    assert found["l2tp_verdict_packets_total", ("7", "9", "delivered")] == 23
    assert not [name for name, _ in found if name.startswith("l2tp_tx")], "it has no such figure"


def test_latency_is_a_histogram_in_seconds() -> None:
    found = samples()
    assert found["l2tp_rx_latency_seconds_bucket", ("7", "9", "8e-09")] == 1
    assert found["l2tp_rx_latency_seconds_bucket", ("7", "9", "1.6e-08")] == 3
    assert found["l2tp_rx_latency_seconds_bucket", ("7", "9", "+Inf")] == 3
    assert found["l2tp_rx_latency_seconds_sum", ("7", "9")] == pytest.approx(3e-6)


def test_what_is_hidden_or_lost_is_in_it() -> None:
    found = samples()
    assert found["l2tp_probes_lost_events_total", ("figures_full",)] == 1
    assert found["l2tp_probes_missed_runs_total", ("netif_rx",)] == 4
    assert found["l2tp_probes_hook_attached", ("netif_rx", "all latencies")] == 0


def test_why_nothing_reconciles_who_made_room_and_what_the_probes_cost_is_in_it() -> None:
    found = samples()
    assert found["l2tp_probes_driver_asked", ("no family l2tp",)] == 0
    assert found["l2tp_probes_evicted_sessions_total", ()] == 6
    assert found["l2tp_probes_costs_measured", ()] == 1
    assert found["l2tp_probes_runs_total", ("netif_rx",)] == 10
    assert found["l2tp_probes_run_time_seconds_total", ("netif_rx",)] == pytest.approx(5e-6)
    assert samples(not_reconciled="")["l2tp_probes_driver_asked", ("",)] == 1


def test_what_waits_becomes_fewer_again_and_is_no_counter() -> None:
    row = ROW | {"verdicts": {"waiting_ppp": 2, "read": 5}}
    found = samples(figures=[row])
    assert found["l2tp_waiting_packets", ("7", "9", "waiting_ppp")] == 2
    assert found["l2tp_verdict_packets_total", ("7", "9", "read")] == 5
    assert ("l2tp_verdict_packets_total", ("7", "9", "waiting_ppp")) not in found


def test_sending_and_numbers_are_in_it() -> None:
    numbers = {"rx_gaps": 1, "rx_skipped": 4, "rx_late": 2, "rx_resyncs": 3}
    sent = {"tx_ns_log2": [0, 2, 0], "tx_ns_total": 6}
    found = samples(figures=[ROW | {"numbers": numbers} | sent])
    assert found["l2tp_tx_latency_seconds_bucket", ("7", "9", "2e-09")] == 0
    assert found["l2tp_tx_latency_seconds_bucket", ("7", "9", "4e-09")] == 2
    assert found["l2tp_tx_latency_seconds_count", ("7", "9")] == 2
    assert found["l2tp_rx_gaps_total", ("7", "9")] == 1
    assert found["l2tp_rx_skipped_numbers_total", ("7", "9")] == 4
    assert found["l2tp_rx_late_packets_total", ("7", "9")] == 2
    assert found["l2tp_rx_resynchronisations_total", ("7", "9")] == 3


def test_no_sample_comes_twice() -> None:
    rows = [ROW, ROW | {"version": 0}, ROW | {"netns_cookie": 6}]
    text = prometheus_text(SNAPSHOT | {"figures": rows}, {101: "lac"})
    names = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))


@contextmanager
def serving(text: Callable[[], str]) -> Iterator[MetricsServer]:
    with MetricsServer(0, "sesame", text) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def served() -> Iterator[MetricsServer]:
    with serving(lambda: "figures\n") as server:
        yield server


def scraped(server: MetricsServer) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/metrics", headers={"Authorization": "Bearer sesame"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def test_who_says_nothing_keeps_nobody_waiting(
    served: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.running.metrics_server._Handler.timeout", 300)
    with socket.create_connection(("127.0.0.1", served.port)):
        assert scraped(served) == (200, b"figures\n")


def test_a_tracer_that_has_gone_is_told_and_not_the_end() -> None:
    def gone() -> str:
        raise ProbeError("the tracer cannot be reached", "Look at its log.")

    with serving(gone) as server:
        assert scraped(server) == (503, b"the tracer cannot be reached\nLook at its log.\n")
        assert scraped(server)[0] == 503


def test_scrapes_come_one_at_a_time() -> None:
    inside: list[int] = []
    most: list[int] = []

    def text() -> str:
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.01)
        inside.pop()
        return "figures\n"

    with serving(text) as server:
        threads = [threading.Thread(target=scraped, args=(server,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == [1] * 8


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/metrics", {"Authorization": "Bearer sesame"}, 200),
        ("/metrics", {}, 401),
        ("/metrics", {"Authorization": "Bearer wrong"}, 401),
        ("/", {"Authorization": "Bearer sesame"}, 404),
        ("/metrics", {"Authorization": "Bearer sesame", "Host": "evil.example"}, 403),
    ],
)
def test_only_who_shows_the_token_is_told(
    served: MetricsServer, path: str, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    assert answer.status == status
    assert (answer.read() == b"figures\n") is (status == 200)
    connection.close()


def test_it_listens_on_loopback_only_and_a_taken_port_is_told(served: MetricsServer) -> None:
    assert served.server_address[0] == "127.0.0.1"
    with pytest.raises(LabError, match="--port 0"):
        MetricsServer(served.port, "sesame", str)


def test_the_token_is_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "metrics.token"
    first = make_token(path)
    assert make_token(path) != first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text()) >= 32
