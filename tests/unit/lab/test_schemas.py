"""The schemas in the docs are those of the models, and the models those of what is written."""

from pathlib import Path
from typing import get_type_hints

import pytest
from pydantic import BaseModel, ValidationError

from lab.results import records
from lab.results.schemas import schemas, text
from probes.figures import snapshot

DOCS = Path(__file__).parents[3] / "docs" / "schemas"


@pytest.mark.parametrize("name", schemas())
def test_the_docs_hold_the_schema(name: str) -> None:
    assert (DOCS / name).read_text() == text(schemas()[name]), "run: make docs"


@pytest.mark.parametrize(
    ("model", "written", "more"),
    [
        (records.TraceRecord, snapshot.Snapshot, {"nodes"}),
        (records.Figures, snapshot.FigureRow, set()),
        (records.Numbers, snapshot.Numbers, set()),
        (records.Peer, snapshot.Peer, set()),
        (records.Reconciliation, snapshot.Reconciliation, set()),
        (records.Difference, snapshot.Difference, set()),
        (records.Hook, snapshot.HookState, set()),
    ],
)
def test_the_model_has_what_is_written(
    model: type[BaseModel], written: type, more: set[str]
) -> None:
    assert set(model.model_fields) == set(get_type_hints(written)) | more


def test_what_is_not_in_the_schema_is_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        records.Difference.model_validate({"probes": 1, "driver": 2, "surprise": 3})
