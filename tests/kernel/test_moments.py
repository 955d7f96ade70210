"""What the tracer keeps of tunnels and sessions, against what was done to them."""

import os
from typing import Any

import pytest

from l2tp.protocol.codec import encode_message
from l2tp.protocol.header import encode_control
from l2tp.protocol.messages import HELLO
from lab.timeline import Timeline
from probes.figures.tracer import Tracer
from probes.hooks import modules
from tests.kernel import probe_support as support

pytestmark = pytest.mark.kernel

IDS = ("tunnel_id", "session_id", "peer_tunnel_id", "peer_session_id")


def test_moments_of_a_tunnel_from_its_beginning_to_its_end() -> None:
    modules.load_driver()
    tracer = Tracer(moments=True)
    assert tracer.moments is not None
    try:
        with support.tunnel_pair(f"moment{os.getpid()}", (7, 9), (17, 19)) as pair:
            left, right = pair.left.namespace.inum, pair.right.namespace.inum
            pair.left.sessions[0].attach_unit("10.64.0.1/32", "10.64.0.2")
            pair.right.sessions[0].attach_unit("10.64.0.2/32", "10.64.0.1")
            hello = encode_control(17, 0, 5, 3, encode_message(HELLO()))
            pair.left.udp.send(hello)
            pair.left.namespace.run("ping", "-q", "-c", "3", "-i", "0.02", "10.64.0.2")
            frame = support.PPP_IP + support.ip_packet()
            for ns in (0, 2):
                pair.left.send_data(19, frame, ns)
            pair.settle()
        answer = tracer.moments.after(0)
        later = tracer.moments.after(answer["following"])
    finally:
        tracer.close()
    assert [hook["name"] for hook in answer["hooks"] if not hook["attached"]] == []
    assert (answer["lost"], answer["forgotten"], later["moments"]) == (0, 0, [])
    rows = [row for row in answer["moments"] if row["netns"] in (left, right)]

    def of(netns: int, *events: str) -> list[tuple[Any, ...]]:
        return [
            (row["event"], *(row[name] for name in IDS))  # type: ignore[literal-required]
            for row in rows
            if row["netns"] == netns and row["event"] in events
        ]

    lives = ("registered", "deleted", "freed")
    sessions = [f"session_{what}" for what in lives]
    # The driver's management socket has a session of its own, with the id 0.
    assert [row for row in of(left, *sessions) if row[2]] == [(e, 7, 9, 17, 19) for e in sessions]
    assert [row for row in of(right, *sessions) if row[2]] == [(e, 17, 19, 7, 9) for e in sessions]
    tunnels = [f"tunnel_{what}" for what in lives]
    assert {row[0] for row in of(left, *tunnels)} >= {"tunnel_registered", "tunnel_deleted"}
    # Three pings, and one first packet each way.
    first = ("first_packet_sent", "first_packet_received")
    assert of(left, *first) == [(first[0], 7, 9, 17, 19), (first[1], 7, 9, 17, 19)]
    assert of(right, *first) == [(first[1], 17, 19, 7, 9), (first[0], 17, 19, 7, 9)]
    (drop,) = [row for row in rows if row["event"].startswith("dropped")]
    assert (drop["event"], drop["netns"], drop["ns"]) == ("dropped_out_of_sequence", right, 2)
    assert_decoded(rows, right, hello)


def assert_decoded(rows: list[Any], netns: int, hello: bytes) -> None:
    (row,) = [row for row in rows if row["message"] == hello.hex()]
    record = Timeline({netns: "right"}, 0).of_kernel(row)
    assert record["says"] == "HELLO from 192.0.2.1:1701"
    assert (record["node"], record["tunnel_id"], record["details"]["ns"]) == ("right", 17, 5)
