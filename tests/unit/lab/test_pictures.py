"""The drawing of a lab and its tables, from a topology and from what daemons say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lab.pictures.canvas import Canvas, to_ascii
from lab.pictures.scene import PIPES_DRAWN, make_scene, short_address
from lab.pictures.tables import count_text, tunnel_table
from lab.pictures.topology import draw_text
from lab.pictures.topology_svg import draw_svg
from lab.topology import Counts, load_topology

GOLDEN = Path(__file__).parents[2] / "golden" / "pictures"


def session(local: int, peer: int, user: str, **ppp: Any) -> dict[str, Any]:
    kernel = {"rx_packets": 1234567, "tx_packets": 12, "rx_errors": 1, "tx_errors": 2}
    return {
        "local_session_id": local,
        "peer_session_id": peer,
        "state": "established",
        "user": user,
        "ppp": ppp or None,
        "kernel": kernel if ppp else None,
    }


def tunnel(local: int, peer: int | None, ends: tuple[str, str], *sessions: Any) -> dict[str, Any]:
    return {
        "local_tunnel_id": local,
        "peer_tunnel_id": peer,
        "state": "established" if peer else "opening",
        "local": ends[0],
        "peer": ends[1],
        "sessions": list(sessions),
        "kernel": {"rx_packets": 99999, "tx_packets": 100000, "rx_errors": 0, "tx_errors": 0},
    }


DEFAULT = {
    "lac": {
        "tunnels": [
            tunnel(
                17321,
                40211,
                ("192.0.2.1:1701", "198.51.100.2:1701"),
                session(1, 50009, "alice", interface="ppp0", local_ipv4="10.64.0.2"),
            )
        ]
    },
    "lns": {
        "tunnels": [
            tunnel(
                40211,
                17321,
                ("198.51.100.2:1701", "192.0.2.1:1701"),
                session(50009, 1, "alice", interface="ppp1", local_ipv4="10.64.0.1"),
            )
        ]
    },
}

# near-2 came up before near-1, whose session PPP has not begun; far-1 is still opening.
TWO = {
    "near": {
        "tunnels": [
            tunnel(
                7,
                70,
                ("192.0.2.66:40000", "198.51.100.2:1701"),
                session(3, 30, "carol", interface="ppp0", local_ipv4="10.64.0.2"),
            ),
            tunnel(8, 80, ("192.0.2.66:1701", "198.51.100.2:1701"), session(4, 40, "alice")),
        ]
    },
    "far": {"tunnels": [tunnel(9, None, ("192.0.2.130:1701", "198.51.100.2:1701"))]},
    "lns": {
        "tunnels": [
            tunnel(
                70,
                7,
                ("198.51.100.2:1701", "192.0.2.66:40000"),
                session(30, 3, "carol", interface="ppp0", local_ipv4="10.64.0.1"),
            )
        ]
    },
}


def many(state: str) -> dict[str, Any]:
    """Four tunnels of the topology scale, all up but one session, whose state is given."""
    ends = ("192.0.2.1:1701", "198.51.100.2:1701")
    tunnels = []
    for number in range(4):
        users = [f"user-{number * 8 + k}" for k in range(1, 9)]
        calls = [
            session(k, 60000 + k, user, interface=f"ppp{k}", local_ipv4=f"10.64.0.{k}")
            for k, user in enumerate(users, 1)
        ]
        calls[-1]["state"] = state if number == 2 else "established"
        tunnels.append(tunnel(number + 1, number + 50001, ends, *calls))
    return {"lac": {"tunnels": tunnels}}


CASES = {
    "default": ("default", None),
    "scale-live": ("scale", many("wait_reply")),
    "default-live": ("default", DEFAULT),
    "two-lacs": ("two-lacs", None),
    "two-lacs-live": ("two-lacs", TWO),
}


def check_golden(name: str, written: str) -> None:
    golden = GOLDEN / name
    if os.environ.get("L2TP_LAB_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(written, encoding="utf-8")
    assert written == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", sorted(CASES))
def test_drawings_are_golden(case: str) -> None:
    name, live = CASES[case]
    scene = make_scene(load_topology(name), live)
    check_golden(f"{case}.txt", draw_text(scene))
    check_golden(f"{case}.svg", draw_svg(scene))


@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize("width", [79, 50])
def test_text_stays_below_its_width_and_has_an_ascii_form(case: str, width: int) -> None:
    name, live = CASES[case]
    scene = make_scene(load_topology(name), live)
    assert max(map(len, draw_text(scene, width=width).splitlines())) <= width
    plain = draw_text(scene, width=width, ascii_only=True)
    assert plain.isascii()
    assert "?" not in plain.replace("↔ ?", "").replace("- ?", "")


@pytest.mark.parametrize("case", sorted(CASES))
def test_every_address_and_tunnel_is_in_the_svg(case: str) -> None:
    name, live = CASES[case]
    topology = load_topology(name)
    svg = draw_svg(make_scene(topology, live))
    words = "".join(ElementTree.fromstring(svg).itertext())
    for link in topology.links:
        for end in link.ends:
            for address in end.addresses:
                assert address.partition("/")[0] in words
    for one in topology.l2tp.tunnels:
        assert one.name in words


def test_of_many_sessions_what_is_not_established_is_drawn_first() -> None:
    pipes = make_scene(load_topology("scale"), many("wait_reply")).pipes
    assert [strand.user for strand in pipes[2].strands] == ["user-17", "user-24"]
    assert {pipe.more for pipe in pipes} == {"… and 6 more sessions, established"}


def test_of_many_tunnels_some_are_drawn_and_the_rest_is_counted() -> None:
    scene = make_scene(load_topology("scale", counts=Counts(tunnels=20, sessions=1)))
    assert len(scene.pipes) == PIPES_DRAWN
    assert scene.more == "… and 12 more tunnels"
    assert scene.more in draw_text(scene) and scene.more in draw_text(scene, width=40)
    assert scene.more in draw_svg(scene)


def test_live_sessions_are_found_by_user_whatever_their_order() -> None:
    pipes = {pipe.name: pipe for pipe in make_scene(load_topology("two-lacs"), TWO).pipes}
    assert (pipes["near-2"].lac_tunnel_id, pipes["near-2"].lns_tunnel_id) == ("7", "70")
    carol = pipes["near-2"].strands[0]
    assert (carol.lac_ipv4, carol.lns_ipv4, carol.lns_session_id) == (
        "10.64.0.2",
        "10.64.0.1",
        "30",
    )
    assert pipes["near-1"].lac_tunnel_id == "8"
    assert (pipes["far-1"].state, pipes["far-1"].lns_tunnel_id) == ("opening", "")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("interop", "a drawing with all addresses needs 85 columns, and has 79"),
        ("vpn", "the link of gateway and core does not lead to the next column"),
    ],
)
def test_what_is_a_list_says_why(name: str, why: str) -> None:
    assert draw_text(make_scene(load_topology(name))).splitlines()[2] == f"(a list, since {why})"


def test_three_tunnels_all_begin_at_their_lac() -> None:
    text = draw_text(make_scene(load_topology("scale", counts=Counts(tunnels=3, sessions=3))))
    assert text.count("╥") == 6 and "lac ══" not in text


def test_sessions_dialled_beside_the_topologys_calls_are_drawn_too() -> None:
    calls = [session(1, 50009, "alice", interface="ppp0"), session(2, 50010, "alice"),
             session(3, 50011, "guest")]  # fmt: skip
    closed = {**session(4, 50012, "gone"), "state": "closed"}
    ends = ("192.0.2.1:1701", "198.51.100.2:1701")
    live = {"lac": {"tunnels": [tunnel(17321, 40211, ends, *calls, closed)]}}
    (pipe,) = make_scene(load_topology("default"), live).pipes
    drawn = [(strand.user, strand.lac_session_id) for strand in pipe.strands]
    assert drawn == [("alice", "1"), ("alice", "2"), ("guest", "3")]
    text = draw_text(make_scene(load_topology("default"), live))
    assert "session 2 ↔ 50010" in text and "guest · session 3 ↔ 50011" in text


def test_a_tunnel_without_a_topologys_user_is_found_by_its_name() -> None:
    ends = ("192.0.2.1:1701", "198.51.100.2:1701")
    first = {**tunnel(5, 50, ends), "name": "lac-lns-1"}
    second = {**tunnel(6, 60, ends, session(1, 2, "guest")), "name": "lac-lns-2"}
    counts = Counts(tunnels=2, sessions=1)
    scene = make_scene(load_topology("scale", counts=counts), {"lac": {"tunnels": [second, first]}})
    found = [(pipe.name, pipe.lac_tunnel_id) for pipe in scene.pipes]
    assert found == [("lac-lns-1", "5"), ("lac-lns-2", "6")]
    assert [strand.user for strand in scene.pipes[1].strands][-1] == "guest"


@pytest.mark.parametrize("live", [DEFAULT, TWO, {}, {"lac": {"tunnels": []}}])
def test_tables_stay_below_80_columns(live: dict[str, Any]) -> None:
    text = tunnel_table(live)
    assert max(map(len, text.splitlines())) < 80
    assert tunnel_table(live, ascii_only=True).isascii()


def test_tables_are_golden() -> None:
    check_golden("tables.txt", tunnel_table(TWO))


def test_a_table_gives_way_where_words_are_long() -> None:
    long = {"a-long-node-name": {"tunnels": [tunnel(65535, 65535, ("", "2001:db8:1:2:3:4:5:6"))]}}
    long["a-long-node-name"]["tunnels"][0]["sessions"] = [
        session(65535, 65535, "somebody@a.very.long.realm.example", interface="ppp1234567")
    ]
    assert max(map(len, tunnel_table(long).splitlines())) < 80


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (99999, "99999"), (100_000, "100k"), (123_456_789, "123M"), (10**13, "10000G")],
)
def test_counts_are_short(number: int, text: str) -> None:
    assert count_text(number) == text


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("192.0.2.1/24", ".1"),
        ("192.0.2.66/26", ".66"),
        ("10.1.2.3/8", "10.1.2.3"),
        ("2001:db8:1::1/64", "::1"),
        ("2001:db8:1:2:3:4:5:6/64", "2001:db8:1:2:3:4:5:6"),
    ],
)
def test_short_addresses(address: str, text: str) -> None:
    assert short_address(address) == text


def test_lines_join_where_they_meet() -> None:
    canvas = Canvas()
    canvas.line([(0, 0), (4, 0), (4, 2), (0, 2), (0, 0)])
    canvas.line([(2, 0), (2, 2)])
    canvas.line([(0, 1), (4, 1)])
    assert canvas.lines() == ["┌─┬─┐", "├─┼─┤", "└─┴─┘"]
    assert to_ascii("┌─┬═╗↔") == "+-+=#-"
    assert canvas.is_free(6, 0, 2) and not canvas.is_free(4, 1, 1)
