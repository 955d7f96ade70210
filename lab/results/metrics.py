"""The tracer's figures as Prometheus text: units in the names, counters with ``_total``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

_SESSION = ("node", "netns", "tunnel_id", "session_id")

# Counters by metric name: what it says, the label beside the session's, and the figure for each of
# its values. A figure that a snapshot does not have makes no sample.
_COUNTERS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "l2tp_rx_packets": (
        "Datagrams that reached the driver's hook",
        "kind",
        {"control": "control_packets", "data": "data_packets"},
    ),
    "l2tp_rx_bytes": (
        "Octets of UDP payload that reached the driver's hook",
        "kind",
        {"control": "control_bytes", "data": "data_bytes"},
    ),
    "l2tp_tx_packets": ("Data that the driver handed to IP", "kind", {"data": "tx_packets"}),
    "l2tp_tx_bytes": ("Octets of that", "kind", {"data": "tx_bytes"}),
    "l2tp_tx_errors": ("Data that was not handed to IP", "kind", {"data": "tx_errors"}),
    "l2tp_hook_packets": (
        "What the driver's hook returned",
        "result",
        {"consumed": "consumed", "passed_up": "passed_up"},
    ),
}


class _Snapshot(Collector):
    def __init__(self, snapshot: Mapping[str, Any], nodes: Mapping[int, str]) -> None:
        self._snapshot, self._nodes = snapshot, nodes

    def collect(self) -> Iterator[Any]:
        for name, (says, label, figures) in _COUNTERS.items():
            yield self._counter(name, says, label, figures)
        yield self._verdicts()
        yield self._latency()
        yield from self._reconciled()
        yield from self._honesty()

    def _rows(self) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
        for row in self._snapshot["figures"]:
            node = self._nodes.get(row["netns"], "")
            yield [node, *(str(row[name]) for name in _SESSION[1:])], row

    def _counter(self, name: str, says: str, label: str, figures: Mapping[str, str]) -> Any:
        family = CounterMetricFamily(name, says, labels=[*_SESSION, label])
        for labels, row in self._rows():
            for value, figure in figures.items():
                if figure in row:
                    family.add_metric([*labels, value], row[figure])
        return family

    def _verdicts(self) -> Any:
        family = CounterMetricFamily(
            "l2tp_verdict_packets", "What became of each packet", labels=[*_SESSION, "verdict"]
        )
        for labels, row in self._rows():
            for verdict, count in row.get("verdicts", {}).items():
                family.add_metric([*labels, verdict], count)
        return family

    def _latency(self) -> Any:
        family = HistogramMetricFamily(
            "l2tp_rx_latency_seconds",
            "From the driver's hook to the ppp interface",
            labels=_SESSION,
        )
        for labels, row in self._rows():
            if not row["latency_packets"]:
                continue
            below, buckets = 0, []
            for slot, count in enumerate(row["latency_ns_log2"][:-1]):
                below += count
                buckets.append((f"{2.0 ** (slot + 1) / 1e9:g}", float(below)))
            buckets.append(("+Inf", float(row["latency_packets"])))
            family.add_metric(labels, buckets, row["latency_ns_total"] / 1e9)
        return family

    def _reconciled(self) -> Iterator[Any]:
        agree = GaugeMetricFamily(
            "l2tp_probes_reconciled",
            "1 where the figures agree with the driver's own counters, 0 where they do not",
            labels=_SESSION,
        )
        differs = GaugeMetricFamily(
            "l2tp_probes_difference",
            "What the driver's own counter says beyond the figures",
            labels=[*_SESSION, "counter"],
        )
        for labels, row in self._rows():
            if found := row.get("driver"):
                agree.add_metric(labels, float(found["agrees"]))
                for name, values in found["differs"].items():
                    differs.add_metric([*labels, name], values["driver"] - values["probes"])
        yield agree
        yield differs

    def _honesty(self) -> Iterator[Any]:
        lost = CounterMetricFamily(
            "l2tp_probes_lost_events", "What the probes know that they did not see", labels=["why"]
        )
        for why, count in self._snapshot["losses"].items():
            lost.add_metric([why], count)
        yield lost
        missed = CounterMetricFamily(
            "l2tp_probes_missed_runs", "Runs of a hook that the kernel skipped", labels=["hook"]
        )
        attached = GaugeMetricFamily(
            "l2tp_probes_hook_attached", "1 where the hook is attached", labels=["hook", "hides"]
        )
        for hook in self._snapshot["hooks"]:
            attached.add_metric([hook["name"], hook["hides"]], float(hook["attached"]))
            if hook["missed"] is not None:
                missed.add_metric([hook["name"]], hook["missed"])
        yield missed
        yield attached


def prometheus_text(snapshot: Mapping[str, Any], nodes: Mapping[int, str]) -> str:
    """Write a snapshot in Prometheus' text format; ``nodes`` names namespaces by inode number."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(snapshot, nodes))
    return generate_latest(registry).decode()
