"""Turns ``count`` into tunnels and calls: numbered names, and a user for each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from lab.errors import UsageError
from lab.topology import Counts
from lab.topology.shape import CallShape, TunnelShape, UserShape


def with_counts(data: Any, counts: Counts) -> Any:
    """Put other numbers where a file's data has a ``count``, before anything is checked.

    Raises UsageError when the file counts nothing of the kind.
    """
    if counts.tunnels is not None:
        _replace(_tables(data), counts.tunnels, "tunnels")
    if counts.sessions is not None:
        calls = (call for tunnel in _tables(data) for call in _listed(tunnel, "calls"))
        _replace(calls, counts.sessions, "sessions")
    return data


def _tables(data: Any) -> list[dict[str, Any]]:
    return _listed(data.get("l2tp") if isinstance(data, dict) else None, "tunnels")


def _listed(table: Any, key: str) -> list[dict[str, Any]]:
    items = table.get(key) if isinstance(table, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _replace(tables: Iterable[dict[str, Any]], number: int, what: str) -> None:
    counted = [table for table in tables if "count" in table]
    if not counted:
        place = {"tunnels": "tunnel", "sessions": "call"}[what]
        raise UsageError(
            f"--{what} {number}: no {place} of this topology has a count to change; "
            f"take one that has: l2tp-lab up --topology scale --{what} {number}"
        )
    for table in counted:
        table["count"] = number


def tunnel_names(tunnel: TunnelShape) -> list[str]:
    """Name the tunnels that an entry stands for: one, or as many as it counts."""
    name = tunnel.name or f"{tunnel.from_}-{tunnel.to}"
    if tunnel.count is None:
        return [name]
    return [f"{name}-{number}" for number in range(1, tunnel.count + 1)]


def calls_of(tunnel: TunnelShape) -> int:
    """Count the calls in all the tunnels that an entry stands for."""
    return (tunnel.count or 1) * sum(call.count or 1 for call in tunnel.calls)


def counted_users(tunnels: Iterable[TunnelShape]) -> dict[str, list[str]]:
    """Name the users that stand in for each one who calls with a count."""
    totals: Counter[str] = Counter()
    for tunnel in tunnels:
        for call in tunnel.calls:
            if call.count is not None:
                totals[call.user] += (tunnel.count or 1) * call.count
    return {user: [f"{user}-{n}" for n in range(1, total + 1)] for user, total in totals.items()}


def all_users(users: Iterable[UserShape], tunnels: Iterable[TunnelShape]) -> Iterator[UserShape]:
    """Give every user, those that a count stands for with the password of the one who counts."""
    counted = counted_users(tunnels)
    plain = {call.user for tunnel in tunnels for call in tunnel.calls if call.count is None}
    for user in users:
        if user.name not in counted or user.name in plain:
            yield user
        for name in counted.get(user.name, []):
            yield user.model_copy(update={"name": name})


class Callers:
    """Says who places the calls of each tunnel, each numbered user once."""

    def __init__(self, tunnels: Iterable[TunnelShape]) -> None:
        self._names = {user: iter(names) for user, names in counted_users(tunnels).items()}

    def of(self, call: CallShape) -> list[str]:
        """Name those who place a call in one tunnel."""
        if call.count is None:
            return [call.user]
        return [next(self._names[call.user]) for _ in range(call.count)]
