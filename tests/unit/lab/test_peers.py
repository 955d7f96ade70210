"""xl2tpd as a node of a lab: what it is told, and how what it has is shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError, UsageError
from lab.instruments.kernelview import Interface, L2tpStatistics, Session, Tunnel
from lab.instruments.pppol2tp import ProcEntry
from lab.network.plan import File
from lab.peers.xl2tpd import Service
from lab.pictures.tables import tunnel_table
from lab.pictures.topology import draw
from lab.running import peers
from lab.running.daemons import daemon_nodes
from lab.running.live import Live
from lab.running.peers import dial, lab_peer_files, peer_nodes, peer_of, peer_processes
from lab.running.seen import complete_status, status_of
from lab.running.views import Views
from lab.topology import load_topology, to_json

INTEROP = load_topology("interop")
COUNTS = L2tpStatistics(tx_packets=3, rx_packets=4)
TUNNEL = Tunnel(10, 20, COUNTS, 2, "198.51.100.66:1701", "192.0.2.66:1701")
SESSION = Session(10, 20, 1, 2, COUNTS)
PPP = Interface("ppp0", 1458, True, 1, 2, 3, 4, ("10.64.0.1", "fe80::1"))


def seen(ppp: Interface = PPP, entry: str | None = "ppp0") -> dict[str, object]:
    listed = [ProcEntry(10), ProcEntry(10, 1, 20, 2, interface=entry)]
    return {"daemon": "xl2tpd", "tunnels": status_of([TUNNEL], [SESSION], listed, [ppp])}


def test_each_node_runs_its_own_daemon() -> None:
    assert [node.name for node in daemon_nodes(INTEROP)] == ["lns", "lac"]
    assert [node.name for node in peer_nodes(INTEROP)] == ["xlns", "xlac"]
    assert peer_nodes(load_topology("two-lacs")) == ()


def test_an_xl2tpd_is_told_what_the_topology_says() -> None:
    lns, lac = (peer_of(INTEROP, node) for node in peer_nodes(INTEROP))
    assert (lns.address, lns.secrets, lns.users) == (
        "198.51.100.66",
        {"lac": "between us"},
        {"alice": "wonderland"},
    )
    assert lns.service == Service("10.64.0.1", "10.64.0.2", "10.64.0.254")
    assert lac.service is None
    (call,) = lac.calls
    assert (call.name, call.lns, call.user, call.autodial, call.routes) == (
        *("xlac-lns", "198.51.100.130", "bob", False),
        ("203.0.113.128/26",),
    )
    assert lac.secrets == {"lns": "between us"}


@pytest.mark.parametrize(
    ("own", "first", "last"),
    [
        ("10.64.0.254", "10.64.0.1", "10.64.0.253"),
        ("10.64.0.100", "10.64.0.101", "10.64.0.254"),
        ("10.99.0.1", "10.64.0.1", "10.64.0.254"),
    ],
)
def test_the_lns_gives_out_the_longer_run_beside_its_own(own: str, first: str, last: str) -> None:
    services = tuple(replace(one, address=own) for one in INTEROP.l2tp.lns)
    changed = replace(INTEROP, l2tp=replace(INTEROP.l2tp, lns=services))
    assert peer_of(changed, changed.node("xlns")).service == Service(own, first, last)


def test_no_secret_is_in_a_command_line_or_a_readable_file(tmp_path: Path) -> None:
    for process in peer_processes(INTEROP, tmp_path):
        assert "between us" not in " ".join(process.argv)
    files = [step for step in lab_peer_files(INTEROP, tmp_path) if isinstance(step, File)]
    told = [file for file in files if "between us" in file.content or "wonder" in file.content]
    assert len(told) >= 4
    assert {file.mode for file in told} == {0o600}


def test_what_the_kernel_shows_is_a_status() -> None:
    (tunnel,) = seen()["tunnels"]  # type: ignore[misc]
    assert (tunnel["local_tunnel_id"], tunnel["peer"]) == (10, "192.0.2.66:1701")
    (session,) = tunnel["sessions"]
    assert session["ppp"]["interface"] == "ppp0"
    assert session["ppp"]["local_ipv4"] == "10.64.0.1"
    assert session["ppp"]["ready"]


@pytest.mark.parametrize(
    "unready",
    [
        {"ppp": replace(PPP, is_up=False)},
        {"ppp": replace(PPP, addresses=("fe80::1",))},
        {"ppp": replace(PPP, addresses=("10.64.0.1",))},
        {"entry": None},
    ],
)
def test_a_session_is_not_ready_before_ppp_is(unready: dict[str, object]) -> None:
    (tunnel,) = seen(**unready)["tunnels"]  # type: ignore[arg-type, misc]
    ppp = tunnel["sessions"][0]["ppp"]
    assert ppp is None or not ppp["ready"]


ALICE = {
    "peer_session_id": 1,
    "user": "alice",
    "ppp": {"local_ipv4": "10.64.0.2", "local_ipv6": "fe80::2"},
}


def test_who_calls_is_known_from_the_other_end() -> None:
    status = seen()
    told = {
        "tunnels": [
            {"peer_tunnel_id": 10, "sessions": [ALICE]},
            {"peer_tunnel_id": 11, "sessions": [{**ALICE, "user": "bob"}]},
        ]
    }
    complete_status(status, told)
    (session,) = status["tunnels"][0]["sessions"]  # type: ignore[index]
    assert (session["user"], session["ppp"]["peer_ipv4"]) == ("alice", "10.64.0.2")


def test_tables_and_picture_show_whose_it_is() -> None:
    status = seen()
    table = tunnel_table({"xlns": status})
    assert table.count("xl2tpd's") == 2
    assert "192.0.2.66:1701" in table
    assert "xlns" in draw(INTEROP, {"xlns": status})
    assert Views({"xlns": status}, 1, 1, ()).foreign == {"xl2tpd": (1, 1)}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    (tmp_path / "topology.json").write_text(to_json(INTEROP))
    yield Live("lab", tmp_path)


def test_a_foreign_daemon_is_not_asked(live: Live) -> None:
    assert (live.daemons, live.peers) == (["lac", "lns"], ["xlac", "xlns"])
    with pytest.raises(UsageError, match=r"xl2tpd runs on xlns.*lac, lns"):
        live.daemon("xlns")


def test_it_is_told_to_dial_through_its_pipe(tmp_path: Path) -> None:
    home = tmp_path / "xlac" / "xl2tpd"
    home.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        dialled = pool.submit(dial, tmp_path, "xlac", "one")
        # Its socket is there before its pipe is, and that before anybody reads it.
        os.mkfifo(home / "control")
        # Both ways, as xl2tpd has it: a reader alone would see an end of file before the writer.
        reader = os.open(home / "control", os.O_RDWR)
        try:
            # Two at once would be one command to it.
            assert os.read(reader, 100) == b"c one"
            dialled.result()
        finally:
            os.close(reader)


def test_one_that_has_ended_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "xlac" / "xl2tpd"
    home.mkdir(parents=True)
    os.mkfifo(home / "control")
    monkeypatch.setattr(peers, "why_ended", lambda *_: "xlac has ended, and said last: no port")
    with pytest.raises(LabError, match="said last: no port\nBring the lab down"):
        dial(tmp_path, "xlac", "one")
