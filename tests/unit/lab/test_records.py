"""The documented shapes: every field is described, and nothing else gets through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from lab.results import records
from lab.running.tracing import as_record, of_lab
from lab.timeline import Timeline
from probes.figures.aggregate import figure_row
from probes.figures.events import FIGURE, FIGURE_KEY
from probes.figures.snapshot import Snapshot

DOCUMENT = (Path(__file__).parents[3] / "docs/trace.md").read_text()
MODELS = [
    model
    for model in vars(records).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.model_fields
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_described(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in DOCUMENT] == []


def test_a_timeline_fits_its_shape_and_a_field_too_many_does_not() -> None:
    entry = {
        "event": "DaemonReady", "time_ns": 1, "wall_ns": 2,
        "local_tunnel_id": None, "local_session_id": None,
    }  # fmt: skip
    (record,) = Timeline({1: "lac"}, 1).join({"lac": [entry]}, [])
    records.TimelineRecord.model_validate(record)
    with pytest.raises(ValidationError):
        records.TimelineRecord.model_validate(record | {"surprise": 1})


def test_figures_of_a_runs_folder_fit_the_shape_of_a_line() -> None:
    row = figure_row(FIGURE_KEY.pack(1, 7, 8, 9, 2), bytes(FIGURE.size))
    snapshot = Snapshot(
        hooks=[], lost_events=0, losses={}, figures=[row, {**row, "netns": 6}], evicted_figures=0,
        costs_measured=False, not_reconciled="", one_in=1, time_ns=1,
    )  # fmt: skip
    written = as_record(of_lab(snapshot, {7: "lac"}), {7: "lac"})
    records.TraceRecord.model_validate_json(json.dumps(written))
    assert [one["netns"] for one in written["figures"]] == [7]
    assert written["nodes"] == {"7": "lac"}
