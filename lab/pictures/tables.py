"""Tunnels and sessions as tables for the terminal, from the daemons' ``status``.

One row a tunnel or session *and end*: the ids in a row are local → peer, as that daemon sees them,
so the two ends of one session show the same numbers crosswise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.pictures.canvas import to_ascii
from lab.pictures.scene import Status
from lab.pictures.width import cut

WIDTH = 79

TUNNEL_HEADS = ("NODE", "TUNNEL", "STATE", "PEER", "RX PKTS", "TX PKTS", "ERR")
SESSION_HEADS = (
    *("NODE", "TUNNEL", "SESSION", "USER", "STATE", "PPP", "ADDRESS"),
    *("RX", "TX", "ERR"),
)


def tunnel_table(live: Mapping[str, Status], *, ascii_only: bool = False) -> str:
    """Write a table of tunnels and one of sessions; ``live`` maps node to status."""
    tunnels = [row for node, status in live.items() for row in _tunnel_rows(node, status)]
    sessions = [row for node, status in live.items() for row in _session_rows(node, status)]
    lines = [
        *_table("tunnels", TUNNEL_HEADS, tunnels, 4),
        "",
        *_table("sessions", SESSION_HEADS, sessions, 7),
    ]
    text = "\n".join(lines) + "\n"
    return to_ascii(text) if ascii_only else text


def _tunnel_rows(node: str, status: Status) -> Iterator[tuple[str, ...]]:
    for tunnel in status.get("tunnels", []):
        yield (
            node,
            _ids(tunnel.get("local_tunnel_id"), tunnel.get("peer_tunnel_id")),
            _foreign(status) or _word(tunnel.get("state")),
            _word(tunnel.get("peer")),
            *_figures(tunnel.get("kernel")),
        )


def _session_rows(node: str, status: Status) -> Iterator[tuple[str, ...]]:
    for tunnel in status.get("tunnels", []):
        for session in tunnel.get("sessions", []):
            ppp = session.get("ppp") or {}
            state = session.get("state")
            # An established session whose PPP is not up yet is best told by PPP's phase.
            if state == "established" and not (ppp.get("ready") or ppp.get("local_ipv4")):
                state = ppp.get("phase") or state
            yield (
                node,
                _word(tunnel.get("local_tunnel_id")),
                _ids(session.get("local_session_id"), session.get("peer_session_id")),
                _word(session.get("user")),
                _foreign(status) or _word(state),
                _word(ppp.get("interface")),
                _word(ppp.get("local_ipv4")),
                *_figures(session.get("kernel")),
            )


def _foreign(status: Status) -> str:
    """Say whose it is where the daemon is none of ours: of its states nobody tells."""
    return f"{status['daemon']}'s" if "daemon" in status else ""


def _ids(local: int | None, peer: int | None) -> str:
    return f"{_word(local)}→{_word(peer)}"


def _word(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


def _figures(kernel: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if kernel is None:
        return "-", "-", "-"
    errors = sum(kernel.get(name, 0) for name in ("rx_errors", "tx_errors"))
    return (
        count_text(kernel.get("rx_packets", 0)),
        count_text(kernel.get("tx_packets", 0)),
        count_text(errors),
    )


def count_text(number: int) -> str:
    """Write a count in at most five characters: 99999, then 100k, 12M, 3G."""
    for unit in ("", "k", "M", "G"):
        if number < 100_000 or unit == "G":
            return f"{number}{unit}"
        number //= 1000
    return str(number)


def _table(
    nothing: str, heads: Sequence[str], rows: Sequence[Sequence[str]], first_figure: int
) -> Iterator[str]:
    """Align columns; from ``first_figure`` on to the right. The widest text gives way first."""
    if not rows:
        yield f"no {nothing}"
        return
    table = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widest = max(range(first_figure), key=lambda column: widths[column])
        widths[widest] -= 1
    for row in table:
        cells = (cut(text, width) for text, width in zip(row, widths, strict=True))
        yield "  ".join(
            cell.rjust(widths[column]) if column >= first_figure else cell.ljust(widths[column])
            for column, cell in enumerate(cells)
        ).rstrip()
