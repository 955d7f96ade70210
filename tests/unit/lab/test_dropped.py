"""What l2tp-lab status says of datagrams that were not used."""

from lab.pictures.dropped import dropped_lines


def test_every_count_is_told_and_nothing_where_there_is_none():
    status = {
        "lac": {"dropped": {}, "tunnels": [{"local_tunnel_id": 1, "dropped": {}}]},
        "lns": {
            "dropped": {"wrong-source": 3, "duplicate": 1},
            "tunnels": [{"local_tunnel_id": 7, "dropped": {"wrong-source": 3}}],
        },
    }
    assert list(dropped_lines(status)) == [
        "lns dropped 1 duplicate, 3 wrong-source",
        "lns, of these on tunnel 7: 3 wrong-source",
    ]
