"""What l2tp-lab status says of datagrams that were not used."""

from lab.pictures.dropped import dropped_lines, ended_lines


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


def test_the_ends_of_tunnels_that_are_gone_are_told_with_their_cause():
    def end(number, cause, host=None):
        return {
            "local_tunnel_id": number,
            "peer": "192.0.2.2:1701",
            "peer_host_name": host,
            "cause": cause,
        }

    ended = [end(number, f"cause {number}") for number in (1, 2, 3)]
    status = {
        "lac": {"tunnels": [{"local_tunnel_id": 9}], "ended": [*ended, end(8, "silence", "lns")]},
        "lns": {"tunnels": [{"local_tunnel_id": 7}], "ended": [end(7, "closing")]},
    }
    assert list(ended_lines(status)) == [
        "lac: tunnel 2 to 192.0.2.2:1701 ended: cause 2",
        "lac: tunnel 3 to 192.0.2.2:1701 ended: cause 3",
        "lac: tunnel 8 to lns ended: silence",
    ]


def test_a_long_cause_is_folded():
    ended = {
        "local_tunnel_id": 2,
        "peer": "[2001:db8:1::2]:1701",
        "peer_host_name": None,
        "cause": "StopCCN of the peer: " + "word " * 30,
    }
    lines = list(ended_lines({"lac": {"tunnels": [], "ended": [ended]}}))
    assert len(lines) == 3 and max(map(len, lines)) < 80
    assert lines[1].startswith("  word")
