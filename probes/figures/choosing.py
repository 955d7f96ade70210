"""Which rows of a snapshot are wanted: by namespace, tunnel, session, kind, direction, verdict."""

from collections.abc import Mapping
from typing import NamedTuple

from probes.figures.snapshot import FigureRow, Snapshot
from probes.figures.verdicts import BY_LABEL

DIRECTIONS = ("rx", "tx")
KINDS = ("control", "data")


class Choice(NamedTuple):
    """What must hold for a row to be shown; None is "any".

    netns: a name or an inode number, as text. tunnel_id, session_id: of the row's own end.
    direction: the session has received (rx) or sent (tx). kind: it has had such messages.
    verdict: at least one packet came to it (Verdict.label).
    """

    netns: str | None = None
    tunnel_id: int | None = None
    session_id: int | None = None
    direction: str | None = None
    kind: str | None = None
    verdict: str | None = None

    def takes(self, row: FigureRow, names: Mapping[int, str]) -> bool:
        """Say whether a row is wanted. names: of namespaces, by inode number."""
        netns = (str(row["netns"]), names.get(row["netns"]))
        received, sent = row["packets"] > 0, row["tx_packets"] + row["tx_errors"] > 0
        of_kind = {
            "control": row["control_packets"] > 0,
            "data": row["data_packets"] > 0 or sent,
        }
        return (
            (self.netns is None or self.netns in netns)
            and self.tunnel_id in (None, row["tunnel_id"])
            and self.session_id in (None, row["session_id"])
            and (self.direction is None or {"rx": received, "tx": sent}[self.direction])
            and (self.kind is None or of_kind[self.kind])
            and (self.verdict is None or row["verdicts"].get(self.verdict, 0) > 0)
        )

    def of(self, snapshot: Snapshot, names: Mapping[int, str]) -> Snapshot:
        """Keep the rows that are wanted; hooks and losses concern everybody."""
        figures = [row for row in snapshot["figures"] if self.takes(row, names)]
        return {**snapshot, "figures": figures}


VERDICT_LABELS = tuple(BY_LABEL)
