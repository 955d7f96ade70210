"""How a daemon, a peer, a tunnel and a call end, and which calls come back."""

import asyncio
import contextlib
import json
import os

import pytest

from l2tp.daemon.operations import NoSignOfLife
from l2tp.protocol.errors import LocalProtocolError
from tests.support.daemon_pair import DEADLINE_S, PPPD, add_tunnel, run


def test_stopping_leaves_nothing(pair):
    pair.calls = 3

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady", 3)
            await pair.lns.hear("SessionReady", 3)
            pids = [
                s["ppp"]["pid"] for s in (await pair.lac.ask("status"))["tunnels"][0]["sessions"]
            ]
            assert len(set(pids)) == 3
            pair.lac.daemon.stop()
            closed = await pair.lns.hear("TunnelClosed")
            assert (closed["by_peer"], closed["result_code"]) == (True, 6)
            await pair.lns.hear("TunnelLeftKernel")
            assert pair.lns.plane.open_tunnels == {}
            last = (pair.folder / "lns" / "kernel.jsonl").read_text().splitlines()[-1]
            assert json.loads(last) == {"remove": closed["local_tunnel_id"]}
        assert pair.lac.plane.open_tunnels == {}
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        for role in ("lac", "lns"):
            assert list((pair.folder / role / "ppp" / "sessions").iterdir()) == []
            assert not (pair.folder / role / "control.sock").exists()
            assert not (pair.folder / role / "kernel.jsonl").exists()

    run(scenario)


def test_a_peer_that_nobody_is_holds_nobody_up(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            pair.lns.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pair.lns.task
            pair.lac.daemon.stop()
            async with asyncio.timeout(DEADLINE_S):
                await pair.lac.task
            assert not pair.lac.heard("StopTimedOut")
            assert "Connection refused" in pair.lac.heard("NetworkError")[0]["text"]
            pair.lns.task = asyncio.get_running_loop().create_task(asyncio.sleep(0))

    run(scenario)


def test_a_lost_call_is_placed_again_and_one_hung_up_is_not(pair):
    pair.call_text = "redial = true\n"
    pair.lac_text = "[redial]\nfirst_s = 0.1\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            tunnel, session = await pair.lns.only_session()
            ids = {"local_tunnel_id": tunnel["local_tunnel_id"]}
            await pair.lns.ask("hangup", **ids, local_session_id=session["local_session_id"])
            await pair.lac.hear("SessionReady", 2)
            assert [one["attempt"] for one in pair.lac.heard("RedialPlanned")] == [1]
            # With its tunnel, the same: both are made anew.
            await pair.lns.ask("hangup", **ids)
            await pair.lac.hear("SessionReady", 3)
            assert [one["attempt"] for one in pair.lac.heard("RedialPlanned")] == [1, 1]
            open_tunnel = (await pair.lac.ask("status"))["tunnels"][-1]
            await pair.lac.ask("hangup", local_tunnel_id=open_tunnel["local_tunnel_id"])
            assert len(pair.lac.heard("RedialPlanned")) == 2

    run(scenario)


def test_redial_waits_longer_each_time_and_gives_up(pair):
    pair.call_text = "redial = true\n"
    pair.lac_text = "[redial]\nfirst_s = 0.1\nattempts = 2\n"
    pair.pppd["lac"] = "#!/bin/sh\nexit 2\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("RedialGivenUp")
            planned = pair.lac.heard("RedialPlanned")
            assert [(one["attempt"], one["delay_s"]) for one in planned] == [(1, 0.1), (2, 0.2)]

    run(scenario)


def test_why_a_tunnel_ended_is_told_when_nothing_else_is_left_of_it(pair):
    pair.lac_text = "[protocol]\nretransmission_initial_s = 0.05\nmaximum_retransmissions = 1\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            tunnel, _ = await pair.lac.only_session()
            pair.lns.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pair.lns.task
            with contextlib.suppress(NoSignOfLife, LocalProtocolError):
                await pair.lac.ask("hello", local_tunnel_id=tunnel["local_tunnel_id"])
            await pair.lac.hear("TunnelReleased")
            status = await pair.lac.ask("status")
            assert status["tunnels"] == []
            (ended,) = status["ended"]
            assert ended["local_tunnel_id"] == tunnel["local_tunnel_id"]
            assert "no answer from" in ended["cause"]
            pair.lns.task = asyncio.get_running_loop().create_task(asyncio.sleep(0))

    run(scenario)


def test_a_daemon_that_is_stopping_takes_no_tunnel(pair):
    # The LNS's pppd does not end by itself, so that there is time to knock.
    pair.pppd["lns"] = PPPD.replace("exit 5", ":")
    pair.lns_text = "ppp_timeout_s = 5\nstop_timeout_s = 30\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            first, _ = await pair.lac.only_session()
            pair.lns.daemon.stop()
            add_tunnel(pair, {**first, "local": "127.0.0.1:0"})
            await pair.lac.ask("reload")
            closed = await pair.lac.hear("TunnelClosed")
            assert (closed["by_peer"], closed["result_code"]) == (True, 6)
            assert closed["local_tunnel_id"] != first["local_tunnel_id"]

    run(scenario)
