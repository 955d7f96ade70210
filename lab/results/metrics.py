"""The tracer's figures as Prometheus text: units in the names, counters with ``_total``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from probes.figures.verdicts import WAITING

# The inode number of a namespace is given again, and a header of another version names other ids:
# the last two keep apart what would be two samples of one name.
_SESSION = ("node", "netns", "tunnel_id", "session_id", "netns_cookie", "version")

_WAITING = frozenset(verdict.label for verdict in WAITING)

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

# The same of what the numbers of the data say, of sessions whose data has numbers.
_NUMBERS: Mapping[str, tuple[str, str]] = {
    "l2tp_rx_gaps": ("How often numbers were jumped over", "rx_gaps"),
    "l2tp_rx_skipped_numbers": ("How many numbers that were", "rx_skipped"),
    "l2tp_rx_late_packets": ("Packets behind a higher number", "rx_late"),
    "l2tp_rx_resynchronisations": ("How often the driver gave up a gap", "rx_resyncs"),
}

# Histograms: what they say, and what their figures in a row begin with.
_TIMES: Mapping[str, tuple[str, str]] = {
    "l2tp_rx_latency_seconds": ("From the driver's hook to the ppp interface", "latency_ns"),
    "l2tp_tx_latency_seconds": ("Of sending, in which IP and the device take it", "tx_ns"),
}


class _Snapshot(Collector):
    def __init__(self, snapshot: Mapping[str, Any], nodes: Mapping[int, str]) -> None:
        self._snapshot, self._nodes = snapshot, nodes

    def collect(self) -> Iterator[Any]:
        for name, (says, label, figures) in _COUNTERS.items():
            yield self._counter(name, says, label, figures)
        for name, (says, figure) in _NUMBERS.items():
            yield self._numbers(name, says, figure)
        yield from self._verdicts()
        for name, (says, prefix) in _TIMES.items():
            yield self._times(name, says, prefix)
        yield from self._reconciled()
        yield from self._honesty()
        yield from self._costs()

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

    def _numbers(self, name: str, says: str, figure: str) -> Any:
        family = CounterMetricFamily(name, says, labels=_SESSION)
        for labels, row in self._rows():
            if numbers := row.get("numbers"):
                family.add_metric(labels, numbers[figure])
        return family

    def _verdicts(self) -> Iterator[Any]:
        settled = CounterMetricFamily(
            "l2tp_verdict_packets", "What became of each packet", labels=[*_SESSION, "verdict"]
        )
        waiting = GaugeMetricFamily(  # they become fewer again, which no counter may
            "l2tp_waiting_packets",
            "Packets that are not settled yet",
            labels=[*_SESSION, "verdict"],
        )
        for labels, row in self._rows():
            for verdict, count in row.get("verdicts", {}).items():
                (waiting if verdict in _WAITING else settled).add_metric([*labels, verdict], count)
        yield settled
        yield waiting

    def _times(self, name: str, says: str, prefix: str) -> Any:
        family = HistogramMetricFamily(name, says, labels=_SESSION)
        for labels, row in self._rows():
            histogram = row.get(f"{prefix}_log2", [])
            if not any(histogram):
                continue
            below, buckets = 0, []
            for slot, count in enumerate(histogram[:-1]):
                below += count
                buckets.append((f"{2.0 ** (slot + 1) / 1e9:g}", float(below)))
            buckets.append(("+Inf", float(sum(histogram))))
            family.add_metric(labels, buckets, row[f"{prefix}_total"] / 1e9)
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
        trouble = self._snapshot["not_reconciled"]
        asked = GaugeMetricFamily(
            "l2tp_probes_driver_asked",
            "1 where the figures are held against the driver's own counters; else why not",
            labels=["why_not"],
        )
        asked.add_metric([trouble], float(not trouble))
        yield asked
        evicted = CounterMetricFamily(
            "l2tp_probes_evicted_sessions", "Sessions that ended and made room for others"
        )
        evicted.add_metric([], self._snapshot["evicted_figures"])
        yield evicted
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
            "l2tp_probes_hook_attached",
            "1 where the hook is attached",
            labels=["hook", "how", "hides"],
        )
        for hook in self._snapshot["hooks"]:
            labels = [hook["name"], hook["how"] or "", hook["hides"]]
            attached.add_metric(labels, float(hook["attached"]))
            if hook["missed"] is not None:
                missed.add_metric([hook["name"]], hook["missed"])
        yield missed
        yield attached

    def _costs(self) -> Iterator[Any]:
        measured = GaugeMetricFamily(
            "l2tp_probes_costs_measured", "1 while the kernel measures what the probes cost"
        )
        measured.add_metric([], float(self._snapshot["costs_measured"]))
        yield measured
        runs = CounterMetricFamily(
            "l2tp_probes_runs", "Runs of a hook's program while they were measured", labels=["hook"]
        )
        seconds = CounterMetricFamily(
            "l2tp_probes_run_time_seconds", "How long these runs took", labels=["hook"]
        )
        for hook in self._snapshot["hooks"]:
            runs.add_metric([hook["name"]], hook["run_count"])
            seconds.add_metric([hook["name"]], hook["run_ns"] / 1e9)
        yield runs
        yield seconds


def prometheus_text(snapshot: Mapping[str, Any], nodes: Mapping[int, str]) -> str:
    """Write a snapshot in Prometheus' text format; ``nodes`` names namespaces by inode number."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(snapshot, nodes))
    return generate_latest(registry).decode()
