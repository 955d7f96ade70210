"""PPP of a session: in what order it ends, and what becomes of a pppd that fails."""

import os
import signal

from l2tp.ppp.exits import IPCP
from tests.support.daemon_pair import PPPD, run


def test_ppp_ends_before_the_cdn_and_its_socket_before_that(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            tunnel, session = await pair.lac.only_session()
            ids = tunnel["local_tunnel_id"], session["local_session_id"]
            await pair.lac.ask("hangup", local_tunnel_id=ids[0], local_session_id=ids[1])
            names = [record["event"] for record in pair.lac.records]
            cdn = next(
                number
                for number, record in enumerate(pair.lac.records)
                if record.get("name") == "CDN"
            )
            assert names.index("PppDown") < names.index("PppExited") < cdn
            assert pair.lac.heard("PppExited")[0]["cause"] == "PPP was ended on request"
            assert pair.lac.plane.open_tunnels == {ids[0]: set()}
            closed = await pair.lns.hear("SessionClosed")
            assert (closed["by_peer"], closed["result_code"]) == (True, 3)
            await pair.lns.hear("PppExited")
            assert list(pair.lns.plane.open_tunnels.values()) == [set()]
            for end in (pair.lac, pair.lns):
                (tunnel,) = (await end.ask("status"))["tunnels"]
                assert (tunnel["state"], tunnel["sessions"]) == ("established", [])

    run(scenario)


def test_a_route_into_an_interface_that_is_gone_is_told(pair):
    pair.call_text = 'routes = ["203.0.113.0/24"]\n'

    async def scenario():
        async with pair:
            failed = await pair.lac.hear("NetworkFailed")
            assert "cannot route 203.0.113.0/24 into ppp9: " in failed["cause"]
            assert not pair.lac.heard("SessionReady")

    run(scenario)


def test_an_address_goes_back_to_the_pool(pair):
    pair.pool = "10.64.0.0/30"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            second = await pair.lac.ask("call", user="alice")
            refused = await pair.lac.hear("SessionClosed")
            assert refused["local_session_id"] == second["local_session_id"]
            assert (refused["result_code"], refused["error_code"]) == (4, 4)
            assert "no free address" in refused["message"]
            tunnel, session = await pair.lac.only_session()
            ids = {"local_tunnel_id": tunnel["local_tunnel_id"]}
            await pair.lac.ask("hangup", **ids, local_session_id=session["local_session_id"])
            await pair.lns.hear("PppExited")
            await pair.lac.ask("call", user="alice")
            await pair.lac.hear("SessionReady", 2)

    run(scenario)


def test_a_pppd_that_dies_takes_its_session_along(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            _, session = await pair.lns.only_session()
            os.kill(session["ppp"]["pid"], signal.SIGKILL)
            closed = await pair.lac.hear("SessionClosed")
            assert closed["by_peer"]
            assert (closed["result_code"], closed["message"]) == (
                2,
                "pppd was ended by signal 9 (SIGKILL)",
            )

    run(scenario)


def test_a_pppd_that_refuses_says_why(pair):
    pair.pppd["lac"] = "#!/bin/sh\necho 'unrecognized option'\nexit 2\n"

    async def scenario():
        async with pair:
            closed = await pair.lns.hear("SessionClosed")
            assert (closed["result_code"], closed["message"]) == (2, "pppd refused its options")
            assert pair.lac.heard("PppdSaid")[0]["line"] == "unrecognized option"

    run(scenario)


def test_no_network_protocol_at_all_names_the_first_that_was_wanted(pair):
    pair.pppd["lac"] = "#!/bin/sh\nexit 10\n"

    async def scenario():
        async with pair:
            await pair.lns.hear("SessionClosed")
            (cdn,) = [one["message"] for one in pair.lns.records if one.get("name") == "CDN"]
            said = cdn["ppp_disconnect_cause_code"]
            assert (said["code"], said["protocol"], said["direction"]) == (18, IPCP, 0)

    run(scenario)


def test_no_pppd_at_all(pair):
    pair.pppd["lac"] = None

    async def scenario():
        async with pair:
            closed = await pair.lns.hear("SessionClosed")
            assert "Install it: apt-get install ppp" in closed["message"]

    run(scenario)


def test_a_kernel_that_refuses_refuses_the_call(pair):
    async def scenario():
        async with pair:
            pair.lns.plane.refuse_sessions = True
            closed = await pair.lac.hear("SessionClosed")
            assert (closed["result_code"], closed["error_code"]) == (2, 4)
            failed = await pair.lns.hear("DataPlaneFailed")
            assert "modprobe l2tp_ppp" in failed["cause"]

    run(scenario)


# Ends as one does whose peer sent an LCP Terminate-Request, when it is told to.
SENT_AWAY = PPPD.replace("trap ", "trap 'exit 16' USR1\ntrap ", 1)


async def send_away(pair):
    await pair.lac.hear("SessionReady")
    await pair.lns.hear("SessionReady")
    _, session = await pair.lac.only_session()
    os.kill(session["ppp"]["pid"], signal.SIGUSR1)
    exited = await pair.lac.hear("PppExited")
    assert exited["status"] == 16


def test_who_ends_ppp_says_why(pair):
    pair.pppd["lac"] = SENT_AWAY
    pair.lac_text = "ppp_timeout_s = 600\n"

    async def scenario():
        async with pair:
            await send_away(pair)
            assert pair.lac.heard("SessionClosed") == []
            tunnel, session = await pair.lns.only_session()
            ids = tunnel["local_tunnel_id"], session["local_session_id"]
            await pair.lns.ask("hangup", local_tunnel_id=ids[0], local_session_id=ids[1])
            closed = await pair.lac.hear("SessionClosed")
            assert (closed["by_peer"], closed["result_code"]) == (True, 3)
            assert not any(sent["name"] == "CDN" for sent in pair.lac.heard("MessageSent"))

    run(scenario)


def test_who_ends_ppp_and_says_nothing_is_hung_up(pair):
    pair.pppd["lac"] = SENT_AWAY
    pair.lac_text = "ppp_timeout_s = 0.1\n"

    async def scenario():
        async with pair:
            await send_away(pair)
            closed = await pair.lns.hear("SessionClosed")
            assert (closed["by_peer"], closed["result_code"]) == (True, 1)
            assert "the peer ended PPP" in closed["message"]

    run(scenario)


def test_a_daemon_that_ends_waits_for_no_farewell(pair):
    pair.pppd["lac"] = SENT_AWAY
    pair.lac_text = "ppp_timeout_s = 600\n"

    async def scenario():
        async with pair:
            await send_away(pair)
            pair.lac.daemon.stop()
            closed = await pair.lns.hear("SessionClosed")
            assert "closed the tunnel" in closed["cause"]

    run(scenario)
