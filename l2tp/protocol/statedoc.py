"""``python -m l2tp.protocol.statedoc FILE`` draws docs/states.md from the state tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from l2tp.protocol.call_transitions import SESSION_TABLES
from l2tp.protocol.errors import cite
from l2tp.protocol.statetable import Row, Table
from l2tp.protocol.transitions import TUNNEL_TABLE

_HEAD: Final = """\
# The state machines

<!-- Drawn from transitions.py and call_transitions.py in l2tp/protocol: `make docs`. -->

Every input that can come, in every state that can be, with what is done. In the pictures an arrow
says *inputs* / *actions*; what stays in its state is in the tables only. An input that a table does
not have in a state is one that this end makes itself, and a mistake of its user there.

Two states are not the RFC's. A tunnel is `stopped` between its end and the end of its retention
(§5.7), when it only acknowledges. A session is in `wait-answer` between the peer's request and the
local decision that the RFC folds into "acceptable". Rows marked *ours* have no row in the RFC.

A session begins with a request, of either end. What else comes for a session that is not there is
dropped with its cause before any table is asked: the rows that `idle` has for it are not done.
"""
_TUNNEL_TITLE: Final = "The control connection (RFC 2661 §7.2)"


def document() -> str:
    """The whole document, in Markdown with Mermaid diagrams."""
    parts = [_HEAD, *_section(_TUNNEL_TITLE, TUNNEL_TABLE)]
    for role, table in SESSION_TABLES.items():
        title = f"{str(role).replace(',', ':')} (RFC 2661 {'§7.5' if role.is_outgoing else '§7.4'})"
        parts += _section(title, table)
    return "\n".join(parts)


def _section(title: str, table: Table[Any, Any, Any]) -> Iterator[str]:
    yield f"## {title}\n"
    yield from _diagram(table)
    yield "| in state | input | actions | next state | where |"
    yield "|---|---|---|---|---|"
    for row in table.rows:
        yield _line(row)
    yield ""


def _diagram(table: Table[Any, Any, Any]) -> Iterator[str]:
    yield "```mermaid\nstateDiagram-v2"
    states = dict.fromkeys(state for row in table.rows for state in row.states)
    for state in states:
        yield f'    state "{state}" as {_name(state)}'
    yield f"    [*] --> {_name(next(iter(states)))}"
    arrows: dict[tuple[str, str, str], list[str]] = {}
    for row in table.rows:
        for state in row.states:
            if row.next_state not in (None, state):
                key = state, row.next_state, ", ".join(row.actions)
                arrows.setdefault(key, []).extend(row.inputs)
    for (state, following, actions), inputs in arrows.items():
        label = "<br>".join(inputs) + (f" / {actions}" if actions else "")
        yield f"    {_name(state)} --> {_name(following)}: {label}"
    yield "```\n"


def _name(state: str) -> str:
    return state.replace("-", "_")


def _line(row: Row[Any, Any, Any]) -> str:
    where = "ours" if row.section == "ours" else cite(row.section).removeprefix("RFC 2661 ")
    cells = (
        "<br>".join(row.states),
        "<br>".join(row.inputs),
        ", ".join(row.actions) or "none",
        row.next_state or "the same",
        where,
    )
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Write the document into the file that the command names."""
    if len(sys.argv) != 2:
        print("usage: python -m l2tp.protocol.statedoc FILE", file=sys.stderr)
        return 2
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
