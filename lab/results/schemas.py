"""python -m lab.results.schemas FOLDER: write the JSON Schema of every line that tracing prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lab.results.records import JOURNEY_LINE, TimelineRecord, TraceRecord


def schemas() -> dict[str, dict[str, Any]]:
    """Give each schema by the name of its file, as docs/schemas has them."""
    return {
        "trace.json": TraceRecord.model_json_schema(),
        "journey.json": JOURNEY_LINE.json_schema(),
        "timeline.json": TimelineRecord.model_json_schema(),
    }


def text(schema: dict[str, Any]) -> str:
    """Write a schema as its file holds it."""
    return json.dumps(schema, indent=1) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(text(schema))
