"""What is asked of a daemon while it runs: calls of each kind, a HELLO, and what it refuses."""

from pathlib import Path

import pytest

from l2tp.daemon.control_server import RequestError
from l2tp.protocol.errors import LocalProtocolError
from tests.support.daemon_pair import DEADLINE_S, run


@pytest.mark.parametrize(
    ("operation", "arguments", "words"),
    [
        ("hangup", {"local_tunnel_id": 0}, "there is no tunnel 0; there are: "),
        ("hangup", {"local_tunnel_id": [1]}, "local_tunnel_id must be a number"),
        ("hangup", {}, "there is no tunnel without a local_tunnel_id"),
        ("call", {"tunnel": "x"}, "the configuration has lns"),
        ("call", {"user": "mallory"}, "no secret of user 'mallory'; there are those of alice"),
        ("call", {"routes": ["10.0.0.0/8 dev lo"]}, "is not a prefix"),
        ("call", {"routes": ["127.0.0.0/8"]}, "the tunnel would run through itself"),
        ("call", {"addresses": [7]}, "is no text"),
        ("call", {"addresses": "2001:db8::1/128"}, "must be a list of texts"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(pair, operation, arguments, words):
    async def scenario():
        async with pair:
            with pytest.raises(RequestError, match=words):
                await pair.lac.ask(operation, **arguments)

    run(scenario)


def test_an_lns_that_names_no_number_is_told_whom_to_ask(pair):
    async def scenario():
        async with pair:
            with pytest.raises(RequestError, match="ask the LAC's control socket"):
                await pair.lns.ask("call", user="alice")

    run(scenario)


LINE = '[[line]]\nnumber = "555"\nuser = "alice"\n'


def test_an_lns_has_its_lac_dial(pair):
    pair.calls = 0
    pair.lac_text = LINE + "sequencing = true\n"

    async def scenario():
        async with pair:
            await pair.lns.hear("TunnelEstablished")
            asked = await pair.lns.ask("call", number="555")
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            for end in (pair.lac, pair.lns):
                _, session = await end.only_session()
                assert (session["state"], session["user"]) == ("established", "alice")
                assert session["data"]["send_sequence"]
            assert session["local_session_id"] == asked["local_session_id"]
            # The LAC ends PPP itself, as the called party: it is given the address.
            (options,) = (pair.folder / "lns" / "ppp" / "sessions").iterdir()
            assert "10.64.0.1:10.64.0.2" in options.read_text()
            await pair.lns.ask("hangup", **asked)
            assert (await pair.lac.hear("SessionClosed"))["by_peer"]
            assert not pair.lac.heard("RedialPlanned")

    run(scenario)


def test_a_number_that_no_line_has(pair):
    pair.calls = 0
    pair.lac_text = LINE

    async def scenario():
        async with pair:
            await pair.lns.hear("TunnelEstablished")
            await pair.lns.ask("call", number="999", tunnel="lac")
            closed = await pair.lns.hear("SessionClosed")
            assert (closed["result_code"], closed["message"]) == (6, "no such number")
            with pytest.raises(RequestError, match=r"'nobody'; open are \d+ \(lac\)"):
                await pair.lns.ask("call", number="999", tunnel="nobody")

    run(scenario)


def test_a_hello_asks_for_a_sign_of_life(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            tunnel, _ = await pair.lac.only_session()
            answer = await pair.lac.ask("hello", local_tunnel_id=tunnel["local_tunnel_id"])
            assert 0 < answer["round_trip_s"] < DEADLINE_S
            assert "HELLO" in [one["name"] for one in pair.lns.heard("MessageReceived")]
            with pytest.raises(RequestError, match="there is no tunnel"):
                await pair.lac.ask("hello", local_tunnel_id=0)
            await pair.lac.ask("hangup", local_tunnel_id=tunnel["local_tunnel_id"])
            with pytest.raises(LocalProtocolError, match="only an established one says HELLO"):
                await pair.lac.ask("hello", local_tunnel_id=tunnel["local_tunnel_id"])

    run(scenario)


def test_a_full_disk_stops_no_call(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            assert (await pair.lac.ask("status"))["log"] == {"lost_records": 0, "failure": None}
            for end in pair.ends:
                end.daemon.log._file.close()
                end.daemon.log._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
            await pair.lac.ask("call")
            await pair.lac.hear("SessionReady", 2)
            told = (await pair.lns.ask("status"))["log"]
            assert told["lost_records"] > 3
            assert told["failure"] == "No space left on device"

    run(scenario)
