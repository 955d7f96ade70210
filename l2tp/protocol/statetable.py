"""State tables as data: the code applies them, the documents draw them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from l2tp.protocol.errors import LocalProtocolError

StateT = TypeVar("StateT", bound=StrEnum)
InputT = TypeVar("InputT", bound=StrEnum)
ActionT = TypeVar("ActionT", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Row(Generic[StateT, InputT, ActionT]):
    """One line of a table: in any of `states`, any of `inputs` does `actions`, then `next_state`.

    A `next_state` of None stays where it is; `section` is RFC 2661's, or "ours".
    """

    states: tuple[StateT, ...]
    inputs: tuple[InputT, ...]
    actions: tuple[ActionT, ...]
    next_state: StateT | None
    section: str


class Table(Generic[StateT, InputT, ActionT]):
    """Rows, looked up by state and input; a pair that stands in two rows is refused."""

    def __init__(self, name: str, rows: tuple[Row[StateT, InputT, ActionT], ...]) -> None:
        self.name = name
        self.rows = rows
        self._steps: dict[tuple[StateT, InputT], tuple[tuple[ActionT, ...], StateT]] = {}
        for row in rows:
            for state in row.states:
                for event in row.inputs:
                    if (state, event) in self._steps:
                        raise ValueError(f"{name}: {state} × {event} stands in two rows")
                    self._steps[state, event] = (row.actions, row.next_state or state)

    def step(self, state: StateT, event: InputT) -> tuple[tuple[ActionT, ...], StateT]:
        """The actions and the next state; LocalProtocolError where no row allows the input."""
        try:
            return self._steps[state, event]
        except KeyError:
            raise LocalProtocolError(
                f"{self.name}: «{event}» is not possible in state {state}", section="§7"
            ) from None

    def allows(self, state: StateT, event: InputT) -> bool:
        """Whether a row has this pair."""
        return (state, event) in self._steps
