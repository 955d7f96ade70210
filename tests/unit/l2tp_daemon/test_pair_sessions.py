"""A session between a LAC and an LNS: what both know of it, and what their logs keep back."""

from dataclasses import replace

import pytest

from l2tp.protocol.constants import ProxyAuthenType
from l2tp.protocol.values import Accm, CallErrors
from tests.support.daemon_pair import run


@pytest.mark.rfc2661("5.0-frames")
def test_a_session_comes_up_at_both_ends(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            lac_tunnel, lac = await pair.lac.only_session()
            lns_tunnel, lns = await pair.lns.only_session()
            assert lac_tunnel["peer_tunnel_id"] == lns_tunnel["local_tunnel_id"]
            assert lns_tunnel["peer_tunnel_id"] == lac_tunnel["local_tunnel_id"]
            assert lac["peer_session_id"] == lns["local_session_id"]
            assert lns["peer_session_id"] == lac["local_session_id"]
            assert {lac["state"], lns["state"]} == {"established"}
            assert lac["user"] == lns["user"] == "alice"
            assert lns["ppp"]["phase"] == "running"
            assert lns["ppp"]["ready"]
            assert lac_tunnel["local"] == lns_tunnel["peer"]
            assert lac["kernel"]["tx_packets"] == 0
            options = pair.folder / "lns" / "ppp" / "sessions"
            (file,) = options.iterdir()
            assert "10.64.0.1:10.64.0.2" in file.read_text()

    run(scenario)


@pytest.mark.rfc2661("9.5-proxy-off")
def test_a_caller_whom_the_lac_has_authenticated_is_authenticated_again(pair):
    proxy = {
        "proxy_authen_type": int(ProxyAuthenType.PAP),
        "proxy_authen_name": b"alice",
        "proxy_authen_id": 1,
        "proxy_authen_response": b"a",
    }

    async def scenario():
        async with pair:
            endpoint = pair.lac.daemon.endpoint
            place = endpoint.place_call

            def place_with_proxy(tunnel, now, call):
                return place(tunnel, now, replace(call, **proxy))

            endpoint.place_call = place_with_proxy
            await pair.lac.hear("SessionReady")
            (iccn,) = [r for r in pair.lns.heard("MessageReceived") if r["name"] == "ICCN"]
            assert iccn["message"]["proxy_authen_type"] == int(ProxyAuthenType.PAP)
            (file,) = (pair.folder / "lns" / "ppp" / "sessions").iterdir()
            assert {"auth", "require-chap"} <= set(file.read_text().splitlines())
            _, session = await pair.lns.only_session()
            shown = {name: session["call"][name] for name in proxy}
            assert shown == {
                **proxy,
                "proxy_authen_name": b"alice".hex(),
                "proxy_authen_response": "(hidden)",
            }

    run(scenario)


def test_status_shows_what_the_other_end_said_of_the_line(pair):
    errors = CallErrors(1, 2, 0, 0, 0, 0)
    accm = Accm(send=0xA0000, receive=0)

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            for end, tell, what in (
                (pair.lac, "report_errors", errors),
                (pair.lns, "set_link_info", accm),
            ):
                tunnel, session = await end.only_session()
                ids = tunnel["local_tunnel_id"], session["local_session_id"]
                daemon = end.daemon
                getattr(daemon.endpoint, tell)(*ids, daemon.now(), what)
                daemon.transact()
            await pair.lns.hear("CallErrorsReported")
            await pair.lac.hear("LinkInfoReceived")
            for end in pair.ends:
                _, session = await end.only_session()
                assert session["call_errors"] == errors._asdict()
                assert session["accm"] == {"send": 0xA0000, "receive": 0}

    run(scenario)


def test_no_secret_in_any_log(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")

    run(scenario)
    for role in ("lac", "lns"):
        text = (pair.folder / role / "log.jsonl").read_text()
        assert '"challenge_response": "(hidden)"' in text
        assert "[CHAP Response id=0x1c <hidden>, name" in text
        assert "0d57e121ce" not in text


@pytest.mark.rfc2661("4.4.4-sequencing", "5.4-required")
def test_a_call_that_requires_numbers_is_numbered_at_both_ends(pair):
    pair.call_text = "sequencing = true\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            for end in (pair.lac, pair.lns):
                _, session = await end.only_session()
                assert session["data"]["send_sequence"]
                assert session["data"]["receive_sequence"]
                (tunnel,) = end.plane._tunnels.values()
                (kernel,) = tunnel.sessions.values()
                assert (kernel.options.send_sequence, kernel.options.receive_sequence) == (1, 1)
            (file,) = (pair.folder / "lac" / "ppp" / "sessions").iterdir()
            assert {"pppol2tp_send_seq", "pppol2tp_recv_seq"} <= set(file.read_text().split())
            await pair.lac.ask("call", sequencing=False)
            await pair.lac.hear("SessionReady", 2)
            tunnel = (await pair.lac.ask("status"))["tunnels"][0]
            plain = tunnel["sessions"][1]
            assert not plain["data"]["send_sequence"]

    run(scenario)
