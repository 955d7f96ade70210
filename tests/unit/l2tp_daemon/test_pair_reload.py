"""A configuration that changes under a running daemon."""

import os
import signal

import pytest

from l2tp.config.toml_table import ConfigurationError
from l2tp.kernel.udp import open_udp_socket
from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import MessageType
from l2tp.protocol.header import encode_control
from l2tp.protocol.hiding import challenge_response
from l2tp.protocol.messages import ControlMessage
from tests.support.daemon_pair import SECRETS, answer_of, run
from tests.support.scripted_peer import sccrq


def test_reload_changes_what_is_new_and_leaves_what_is_live(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            before = [(await end.only_session())[1]["ppp"]["pid"] for end in (pair.lac, pair.lns)]
            assert await pair.lac.ask("reload") == {"changed": [], "needs_restart": []}
            secrets = pair.folder / "lac" / "secrets.toml"
            secrets.write_text(SECRETS + 'bob = "b"\n')
            config = pair.folder / "lac" / "config.toml"
            config.write_text(
                config.read_text().replace("[ppp]", "[ppp]\nmtu = 1400")
                + '[[tunnel.call]]\nuser = "bob"\n'
            )
            changed = (await pair.lac.ask("reload"))["changed"]
            assert changed == ["ppp", "credentials", "tunnels"]
            await pair.lac.hear("SessionReady", 2)
            (tunnel,) = (await pair.lac.ask("status"))["tunnels"]
            assert [one["user"] for one in tunnel["sessions"]] == ["alice", "alice"]
            assert '"bob" * "b" *' in (pair.folder / "lac/ppp/chap-secrets").read_text()
            options = [f.read_text() for f in (pair.folder / "lac/ppp/sessions").iterdir()]
            assert sorted("mtu 1400" in text for text in options) == [False, True]
            assert 'name "bob"' in next(text for text in options if "mtu 1400" in text)
            # Both daemons are this process; the LAC was the last to ask for the signal.
            os.kill(os.getpid(), signal.SIGHUP)
            await pair.lac.hear("Reloaded", 3)
            after = [(await end.ask("status"))["tunnels"][0]["sessions"][0] for end in pair.ends]
            assert [session["ppp"]["pid"] for session in after] == before

    run(scenario)


def test_a_reload_tells_every_mistake_and_changes_nothing(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            config = pair.folder / "lac" / "config.toml"
            good = config.read_text()
            config.write_text(
                good.replace("[ppp]", "[ppp]\nmtu = 7").replace('"alice"', '"nobody"')
            )
            with pytest.raises(ConfigurationError) as caught:
                await pair.lac.ask("reload")
            assert [line.partition(": ")[2] for line in caught.value.problems] == [
                "ppp.mtu: 7 is not from 128 to 16384",
                'tunnel[1].call[1].user: there is no "nobody" in [users] of the secrets file',
            ]
            assert len(pair.lac.heard("ReloadFailed")[0]["problems"]) == 2
            assert pair.lac.daemon.config.ppp.mtu == 1458
            moved = good.replace("[ppp]", '[[listen]]\naddress = "127.0.0.1"\nport = 9\n[ppp]')
            config.write_text(moved)
            answer = await pair.lac.ask("reload")
            assert answer["needs_restart"] == ["listen"]
            assert not pair.lac.daemon.config.listen

    run(scenario)


def test_an_address_in_use_at_a_reload_is_given_again_afterwards(pair):
    async def given():
        tunnel, session = await pair.lns.only_session()
        (options,) = (pair.folder / "lns/ppp/sessions").iterdir()
        line = next(one for one in options.read_text().splitlines() if "10.64.0.1:" in one)
        return tunnel["local_tunnel_id"], session["local_session_id"], line.partition(":")[2]

    async def scenario():
        async with pair:
            await pair.lns.hear("SessionReady")
            tunnel, session, address = await given()
            config = pair.folder / "lns" / "config.toml"
            config.write_text(config.read_text().replace(pair.pool, "10.64.0.0/29"))
            assert (await pair.lns.ask("reload"))["changed"] == ["lns"]
            await pair.lns.ask("hangup", local_tunnel_id=tunnel, local_session_id=session)
            await pair.lac.hear("SessionClosed")
            await pair.lac.ask("call")
            await pair.lns.hear("SessionReady", 2)
            assert (await given())[2] == address == "10.64.0.2"

    run(scenario)


def test_a_listener_that_stays_until_the_restart_answers_as_before(pair):
    listen = '[[listen]]\naddress = "127.0.0.1"\nport = 9\n'
    pair.lac_text = listen

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            listener = open_udp_socket(("127.0.0.1", 0))
            pair.lac.daemon.sockets.listen(listener)
            config = pair.folder / "lac" / "config.toml"
            config.write_text(config.read_text().replace(listen, ""))
            secrets = pair.folder / "lac" / "secrets.toml"
            secrets.write_text(SECRETS.replace('"t"', '"new"'))
            answer = await pair.lac.ask("reload")
            assert answer["needs_restart"] == ["listen"]
            assert set(answer["changed"]) == {"listen", "endpoint", "credentials", "tunnels"}
            assert (await pair.lac.ask("reload"))["changed"] == ["listen"]
            with open_udp_socket(("127.0.0.1", 0), listener.getsockname()) as udp:
                request = sccrq(host_name="lns", challenge=b"1" * 16)
                udp.send(encode_control(0, 0, 0, 0, encode_message(request)))
                answer, _ = await answer_of(udp, ControlMessage)
            assert answer.name == "SCCRP"
            proof = challenge_response(MessageType.SCCRP, b"new", b"1" * 16)
            assert answer.challenge_response == proof

    run(scenario)
