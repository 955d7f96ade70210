"""The documented shapes: every field is described, and nothing else gets through."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from lab.results import records
from lab.timeline import Timeline

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
