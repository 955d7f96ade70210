"""A session's other end: found by mirrored ids, and by addresses where ids do not do."""

from probes.figures.aggregate import figure_row
from probes.figures.events import FIGURE, FIGURE_KEY, SESSION
from probes.figures.sessions import join_ends
from probes.figures.snapshot import FigureRow

MAPPED = bytes(10) + b"\xff\xff"


def end(
    netns: int, own: tuple[int, int], peer: tuple[int, int], host: int, other: int
) -> FigureRow:
    note = SESSION.pack(
        *(1, 2, 0, 0, 0, 0, 0, 0, 0),
        *peer,
        *(1, 0, 0, 0, 0, 0, 0, 0),
        *(1701, 1701),
        MAPPED + bytes([192, 0, 2, host]),
        MAPPED + bytes([192, 0, 2, other]),
        b"ppp0",
    )
    return figure_row(FIGURE_KEY.pack(netns, netns, *own, 2), bytes(FIGURE.size), note)


def peers(*rows: FigureRow) -> list[int | None]:
    join_ends(list(rows))
    return [row["peer"] and row["peer"]["netns"] for row in rows]


def test_two_ends_name_each_other() -> None:
    one, two = end(1, (7, 9), (17, 19), 1, 2), end(2, (17, 19), (7, 9), 2, 1)
    assert peers(one, two) == [2, 1]
    assert (one["interface"], one["local_address"]) == ("ppp0", "192.0.2.1:1701")


def test_the_same_ids_in_two_pairs_are_told_apart_by_address() -> None:
    rows = [end(1, (7, 9), (7, 9), 1, 2), end(2, (7, 9), (7, 9), 2, 1)]
    rows += [end(3, (7, 9), (7, 9), 3, 4), end(4, (7, 9), (7, 9), 4, 3)]
    assert peers(*rows) == [2, 1, 4, 3]


def test_where_nothing_decides_nobody_is_named() -> None:
    rows = [end(n, (7, 9), (7, 9), 1 + n % 2, 2 - n % 2) for n in range(4)]
    assert peers(*rows) == [None] * 4


def test_who_is_elsewhere_has_no_row_to_name() -> None:
    assert peers(end(1, (7, 9), (8, 8), 1, 2)) == [None]
