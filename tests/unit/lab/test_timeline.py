"""What daemons and kernel told, joined: order, decoding, which two ends are one tunnel."""

from __future__ import annotations

from typing import Any

from l2tp.protocol.codec import encode_message
from l2tp.protocol.header import encode_control
from l2tp.protocol.messages import HELLO, SCCRQ
from l2tp.protocol.values import ProtocolVersion
from lab.timeline import Drawing, Timeline

NODES = {101: "lac", 102: "lns", 103: "xl2tpd"}


def timeline() -> Timeline:
    return Timeline(NODES, wall_offset_ns=1000)


def log(event: str, time_ns: int, tunnel: int | None = None, **more: Any) -> dict[str, Any]:
    session = more.pop("session", None)
    return {
        "event": event, "time_ns": time_ns, "wall_ns": time_ns + 1000,
        "local_tunnel_id": tunnel, "local_session_id": session, **more,
    }  # fmt: skip


def moment(event: str, time_ns: int, netns: int, **more: Any) -> dict[str, Any]:
    return {
        "event": event, "time_ns": time_ns, "netns": netns, "tunnel_id": 0, "session_id": 0,
        "peer_tunnel_id": 0, "peer_session_id": 0, "ns": 0, "length": 0, "message": "",
        "source": "", "port": 0,
    } | more  # fmt: skip


def control(message: bytes, time_ns: int = 5, netns: int = 103, **more: Any) -> dict[str, Any]:
    fields = {"message": message.hex(), "length": len(message), "source": "192.0.2.1"}
    return moment("control_received", time_ns, netns, port=1701, **(fields | more))


def test_all_sources_stand_in_one_order_of_time() -> None:
    records = timeline().join(
        {
            "lac": [log("DaemonReady", 1), log("PppUp", 9, 7, session=8, family="ipv4")],
            "lns": [log("TunnelEstablished", 4, 17, peer_tunnel_id=7)],
        },
        [moment("tunnel_registered", 3, 102, tunnel_id=17, peer_tunnel_id=7)],
    )
    assert [(r["time_ns"], r["source"], r["node"], r["event"]) for r in records] == [
        (1, "daemon", "lac", "DaemonReady"),
        (3, "kernel", "lns", "tunnel_registered"),
        (4, "daemon", "lns", "TunnelEstablished"),
        (9, "pppd", "lac", "PppUp"),
    ]
    assert all(record["wall_ns"] - record["time_ns"] == 1000 for record in records)
    assert [record["netns"] for record in records] == [101, 102, 102, 101]


def test_two_ends_of_a_tunnel_have_one_name_also_before_the_peer_is_known() -> None:
    records = timeline().join(
        {
            "lac": [log("MessageSent", 1, 7, name="SCCRQ", ns=0, nr=0)],
            "lns": [log("TunnelEstablished", 4, 17, peer_tunnel_id=7)],
        },
        [moment("tunnel_registered", 3, 101, tunnel_id=7, peer_tunnel_id=17)],
    )
    assert {record["tunnel"] for record in records} == {"lac/7 = lns/17"}
    assert records[0]["peer_tunnel_id"] == 17


def test_a_tunnel_whose_other_end_is_elsewhere_has_its_own_name() -> None:
    (record,) = timeline().join(
        {}, [moment("tunnel_registered", 3, 101, tunnel_id=7, peer_tunnel_id=17)]
    )
    assert record["tunnel"] == "lac/7"


def test_an_end_is_not_its_own_other_end_and_both_may_be_in_one_node() -> None:
    (alone,) = timeline().join(
        {}, [moment("tunnel_registered", 3, 101, tunnel_id=7, peer_tunnel_id=7)]
    )
    assert alone["tunnel"] == "lac/7"
    both = timeline().join(
        {},
        [
            moment("tunnel_registered", 3, 101, tunnel_id=7, peer_tunnel_id=17),
            moment("tunnel_registered", 4, 101, tunnel_id=17, peer_tunnel_id=7),
        ],
    )
    assert {record["tunnel"] for record in both} == {"lac/17 = lac/7"}


def test_an_end_that_several_could_be_is_not_guessed() -> None:
    records = timeline().join(
        {},
        [
            moment("tunnel_registered", 1, 101, tunnel_id=7, peer_tunnel_id=17),
            moment("tunnel_registered", 2, 102, tunnel_id=17, peer_tunnel_id=7),
            moment("tunnel_registered", 3, 103, tunnel_id=17, peer_tunnel_id=7),
        ],
    )
    assert records[0]["tunnel"] == "lac/7"


def test_a_foreign_daemons_message_is_decoded_and_our_own_is_told_once() -> None:
    sccrq = SCCRQ(
        host_name="lac",
        assigned_tunnel_id=7,
        protocol_version=ProtocolVersion(1, 0),
        framing_capabilities=3,
    )
    body = encode_message(sccrq)
    message = encode_control(17, 0, 0, 0, body)
    records = timeline().join({"lac": []}, [control(message), control(message, netns=101)])
    (record,) = records
    assert record["node"] == "xl2tpd"
    assert record["says"] == "SCCRQ from 192.0.2.1:1701"
    assert record["details"]["message"]["host_name"] == "lac"
    assert (record["details"]["ns"], record["details"]["nr"]) == (0, 0)


def test_what_cannot_be_decoded_says_why() -> None:
    hello = encode_control(17, 0, 4, 2, encode_message(HELLO()))
    zlb, cut, broken = timeline().join(
        {},
        [
            control(encode_control(17, 0, 1, 1), time_ns=1),
            control(hello[:14], time_ns=2, length=len(hello)),
            control(hello[:12] + b"\xff" * 8, time_ns=3),
        ],
    )
    assert zlb["details"]["name"] == "ZLB"
    assert cut["details"]["cut_to"] == 14
    assert broken["details"]["cause"]


def test_a_line_is_whole_and_cut_with_a_mark_where_a_width_is_given() -> None:
    drawing = Drawing()
    (record,) = timeline().join(
        {"lac": [log("PppdSaid", 5, 65535, session=65535, line="x\x1b[31m" * 60)]}, []
    )
    whole = drawing.line(record)
    assert whole.endswith("x?[31m" * 60)
    line = drawing.line(record, 80)
    assert (len(line), line[-1]) == (80, "…") and whole.startswith(line[:-1])
    assert "\x1b" not in line
    assert "65535/65535" in line


def test_a_long_nodes_name_is_whole_and_widens_its_column() -> None:
    drawing = Drawing()
    lines = [
        drawing.line(record)
        for record in timeline().join({}, [moment("tunnel_registered", 1, 4026531840),
                                           moment("tunnel_deleted", 2, 101)])
    ]  # fmt: skip
    assert "4026531840" in lines[0]
    assert lines[0].index("tunnel") == lines[1].index("tunnel")
