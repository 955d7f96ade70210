"""The three views of a node, and what they disagree on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.instruments.kernelview import L2tpStatistics, Session, Tunnel
from lab.instruments.pppol2tp import ProcEntry, parse
from lab.running.views import Disagreement, compare, daemon_view, netlink_view, proc_view

COUNTS = L2tpStatistics(tx_packets=3, rx_packets=4)
TUNNEL = Tunnel(10, 20, COUNTS)
SESSION = Session(10, 20, 1, 2, COUNTS)
STATUS = {
    "tunnels": [
        {
            "local_tunnel_id": 10,
            "peer_tunnel_id": 20,
            "state": "established",
            "kernel": {"tx_packets": 3, "rx_packets": 4},
            "sessions": [
                {
                    "local_session_id": 1,
                    "peer_session_id": 2,
                    "state": "established",
                    "ppp": {"interface": "ppp0"},
                    "kernel": None,
                }
            ],
        }
    ]
}
TUNNEL_ENTRY = ProcEntry(10, tx_packets=3, rx_packets=4)
SESSION_ENTRY = ProcEntry(10, 1, 20, 2, 3, 4, "ppp0")
# As Linux 6.1 writes it, whose table has the pseudo-session as well.
TABLE = """\
PPPoL2TP driver info, V2.0
TUNNEL name, user-data-ok session-count
 debug tx-pkts/bytes/errs rx-pkts/bytes/errs
  SESSION name, addr/port src-tid/sid dest-tid/sid state user-data-ok
   mtu/mru/rcvseq/sendseq/lns debug reorderto
   nr/ns tx-pkts/bytes/errs rx-pkts/bytes/errs

TUNNEL 'tunl 10', Y 3
 00000000 3/90/0 4/120/0
  SESSION 'sess 10/0' 7F000001/1702 000A/0000 -> 0014/0000 1 Y
   0/0/-/-/LAC 00000000 0
   0/0 0/0/0 0/0/0
   interface (null)
  SESSION 'sess 10/1' 7F000001/1702 000A/0001 -> 0014/0002 3 Y
   0/0/-/-/LAC 00000000 0
   0/0 3/90/0 4/120/0
   interface ppp0
"""


def disagreements(daemon=None, netlink=None, proc=None) -> list[str]:
    views = (
        daemon_view(STATUS) if daemon is None else daemon,
        netlink_view([TUNNEL], [SESSION]) if netlink is None else netlink,
        proc_view([TUNNEL_ENTRY, SESSION_ENTRY]) if proc is None else proc,
    )
    return [str(one) for one in compare("lac", views)]


def test_the_table_of_proc() -> None:
    assert parse(TABLE.splitlines()) == [TUNNEL_ENTRY, SESSION_ENTRY]


@pytest.mark.parametrize("lines", [[], TABLE.splitlines()[:6]], ids=["no driver", "nothing yet"])
def test_a_table_without_entries(lines: list[str]) -> None:
    assert parse(lines) == []


def test_a_session_without_a_unit_has_no_interface() -> None:
    (_, session) = parse(TABLE.replace("interface ppp0", "interface (null)").splitlines())
    assert session.interface is None


def test_views_that_agree() -> None:
    assert disagreements() == []


def test_what_no_daemon_owns_is_found_with_the_command_that_removes_it() -> None:
    tunnel, session = disagreements(daemon={})
    assert tunnel.startswith("lac tunnel 10: no daemon owns it, netlink and /proc shows it")
    assert tunnel.endswith("ip l2tp del tunnel tunnel_id 10")
    assert session.endswith("ip l2tp del session tunnel_id 10 session_id 1")


def test_what_a_foreign_daemon_owns_need_be_in_no_view_of_ours() -> None:
    views = ({}, netlink_view([TUNNEL], [SESSION]), proc_view([TUNNEL_ENTRY]))
    assert list(map(str, compare("xlns", views, daemon_tells=False))) == [
        "xlns session 10/1: /proc does not show it, netlink does"
    ]


def test_what_only_the_daemon_believes_in() -> None:
    tunnel_in_netlink, tunnel_in_proc, *_ = disagreements(netlink={}, proc={})
    assert tunnel_in_netlink == "lac tunnel 10: netlink does not show it, daemon does"
    assert tunnel_in_proc == "lac tunnel 10: /proc does not show it, daemon does"


@pytest.mark.parametrize("state", ["opening", "requested"])
def test_what_is_on_its_way_up_need_not_be_in_the_kernel(state: str) -> None:
    tunnel = {**STATUS["tunnels"][0], "state": state, "sessions": []}
    assert disagreements(daemon_view({"tunnels": [tunnel]}), {}, {}) == []


def test_what_a_daemon_has_closed_must_not_be_in_the_kernel() -> None:
    tunnel = {**STATUS["tunnels"][0], "state": "closed", "sessions": []}
    assert "no daemon owns it" in disagreements(daemon_view({"tunnels": [tunnel]}))[0]


def test_version_3_is_not_in_proc() -> None:
    netlink = netlink_view([replace(TUNNEL, version=3)], [SESSION])
    assert disagreements(netlink=netlink, proc={}) == []


def test_the_pseudo_session_is_the_tunnel() -> None:
    netlink = netlink_view([TUNNEL], [SESSION, Session(10, 20, 0, 0, COUNTS)])
    assert disagreements(netlink=netlink) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"peer_session_id": 9}, "peer_session_id differs: daemon 2, netlink 2, /proc 9"),
        ({"interface": "ppp7"}, "interface differs: daemon ppp0, /proc ppp7"),
        ({"rx_packets": 1}, "rx_packets differs: netlink 4, and /proc, asked later, 1"),
    ],
)
def test_what_differs_is_named_with_every_views_value(change: dict[str, object], says: str) -> None:
    proc = proc_view([TUNNEL_ENTRY, replace(SESSION_ENTRY, **change)])
    assert disagreements(proc=proc) == [f"lac session 10/1: {says}"]


def test_counters_may_grow_from_one_view_to_the_next() -> None:
    proc = proc_view([TUNNEL_ENTRY, replace(SESSION_ENTRY, rx_packets=99)])
    assert disagreements(proc=proc) == []


def test_a_silent_daemon_is_told_without_an_object() -> None:
    assert str(Disagreement("lac", 0, 0, "its daemon is silent")) == "lac: its daemon is silent"
