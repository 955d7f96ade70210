"""Prometheus text: names, units, labels; and who gets it."""

from __future__ import annotations

import http.client
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.errors import LabError
from lab.results.metrics import prometheus_text
from lab.running.metrics_server import MetricsServer, make_token

ROW = {
    "netns": 101, "tunnel_id": 7, "session_id": 9, "control_packets": 2, "data_packets": 23,
    "control_bytes": 24, "data_bytes": 2116, "consumed": 23, "passed_up": 2,
    "latency_packets": 3, "latency_ns_total": 3_000, "latency_ns_log2": [0, 0, 1, 2, 0],
    "verdicts": {"delivered": 23},
}  # fmt: skip
HOOK = {"name": "netif_rx", "attached": False, "hides": "all latencies", "missed": 4}
SNAPSHOT: dict[str, Any] = {"figures": [ROW], "losses": {"figures_full": 1}, "hooks": [HOOK]}


def samples() -> dict[tuple[str, tuple[str, ...]], float]:
    order = ("tunnel_id", "session_id", "kind", "verdict", "le", "why", "hook", "hides")
    return {
        (sample.name, tuple(sample.labels[name] for name in order if name in sample.labels)): (
            sample.value
        )
        for family in text_string_to_metric_families(prometheus_text(SNAPSHOT, {101: "lac"}))
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


@pytest.fixture
def served() -> Iterator[MetricsServer]:
    with MetricsServer(0, "sesame", lambda: "figures\n") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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
