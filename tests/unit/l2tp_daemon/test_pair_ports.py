"""Ports and sockets: answers from another port, tunnels that share ports, and a flood."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from l2tp.daemon.control_server import RequestError
from l2tp.kernel.udp import open_udp_socket
from l2tp.protocol.codec import encode_message
from l2tp.protocol.header import encode_control
from l2tp.protocol.messages import HELLO, OUR_VERSION, SCCRP, SCCRQ
from tests.support.daemon_pair import add_tunnel, answer_of, run


def test_an_lns_may_answer_from_a_port_of_its_own(pair):
    pair.listen_text = "answer_port = 0\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            (moved,) = pair.lac.heard("PeerAddressChanged")
            tunnel, _ = await pair.lac.only_session()
            at_lns, _ = await pair.lns.only_session()
            assert tunnel["peer"] == at_lns["local"] == moved["peer"] != moved["previous"]
            (listening,) = (await pair.lns.ask("status"))["listening"]
            assert moved["previous"] == listening
            # The last words come from that port too: nothing else would reach the LAC's socket.
            await pair.lns.ask("hangup", local_tunnel_id=at_lns["local_tunnel_id"])
            assert (await pair.lac.hear("TunnelClosed"))["by_peer"]

    run(scenario)


def test_two_tunnels_with_the_same_ports(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            first, _ = await pair.lac.only_session()
            add_tunnel(pair, first)
            await pair.lac.ask("reload")
            await pair.lac.hear("TunnelEstablished", 2)
            await pair.lac.ask("call", tunnel="two", user="alice")
            await pair.lac.hear("SessionReady", 2)
            one, two = (await pair.lac.ask("status"))["tunnels"]
            assert [one["name"], two["name"]] == ["lns", "two"]
            assert (one["local"], one["peer"]) == (two["local"], two["peer"])
            # Either socket may get what is for the other: both control connections end in order.
            await pair.lac.ask("hangup", local_tunnel_id=one["local_tunnel_id"])
            await pair.lac.ask("hangup", local_tunnel_id=two["local_tunnel_id"])
            await pair.lns.hear("TunnelClosed", 2)

    run(scenario)


def test_a_kernel_that_cannot_tell_them_apart_is_named(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            first, _ = await pair.lac.only_session()
            add_tunnel(pair, first)
            pair.lac.plane.ports_are_shared = False
            await pair.lac.ask("reload")
            (failed,) = pair.lac.heard("DialFailed")
            assert "cannot tell their data apart" in failed["cause"]
            assert failed["cause"].endswith('Set local_port = 0 in the [[tunnel]] named "two"')
            # As the answerer it takes another port, which RFC 2661 allows, and says so.
            pair.lac.plane.ports_are_shared = True
            pair.lns.plane.ports_are_shared = False
            with pytest.raises(RequestError, match="no call configured"):
                await pair.lac.ask("call", tunnel="two")
            await pair.lac.ask("call", tunnel="two", user="alice")
            await pair.lac.hear("SessionReady", 2)
            one, two = (await pair.lac.ask("status"))["tunnels"]
            assert (one["local"], one["peer"] != two["peer"]) == (two["local"], True)
            (changed,) = pair.lns.heard("PortChanged")
            assert "answered from a free port" in changed["cause"]

    run(scenario)


IMPATIENT = """\
[protocol]
retransmission_initial_s = 0.2
retransmission_cap_s = 0.2
maximum_retransmissions = 3
"""


def test_a_peer_that_started_again_gets_its_port_back(pair):
    """On a kernel that cannot tell two tunnels apart the dead one has to go for the new one."""
    pair.lac_text = pair.lns_text = IMPATIENT

    async def scenario():
        async with pair:
            await pair.lns.hear("SessionReady")
            tunnel, _ = await pair.lac.only_session()
            pair.lns.plane.ports_are_shared = False
            local, peer = ((*one.split(":"),) for one in (tunnel["local"], tunnel["peer"]))
            # Its place is taken by somebody who knows nothing of that tunnel.
            pair.lac.daemon.sockets.close(tunnel["local_tunnel_id"])
            with open_udp_socket((local[0], int(local[1])), (peer[0], int(peer[1]))) as udp:
                request = SCCRQ(
                    protocol_version=OUR_VERSION,
                    framing_capabilities=3,
                    host_name="lac",
                    assigned_tunnel_id=1,
                )
                udp.send(encode_control(0, 0, 0, 0, encode_message(request)))
                await answer_of(udp, HELLO)
                assert not pair.lns.heard("TunnelClosed")
                await answer_of(udp, SCCRP)
                # And once more, before that tunnel has become one.
                request = replace(request, assigned_tunnel_id=2)
                udp.send(encode_control(0, 0, 0, 0, encode_message(request)))
                await pair.lns.hear("TunnelRequested", 3)
            closed = pair.lns.heard("TunnelClosed")[0]
            assert closed["local_tunnel_id"] == tunnel["peer_tunnel_id"]
            assert "no sign of life since its peer asked for another" in closed["cause"]
            assert not pair.lns.heard("PortChanged")

    run(scenario)


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_flood_of_requests_leaves_the_live_session_alone(pair):
    request = encode_message(
        SCCRQ(
            protocol_version=OUR_VERSION,
            framing_capabilities=3,
            host_name="flood",
            assigned_tunnel_id=1,
        )
    )

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            tunnel, _ = await pair.lac.only_session()
            port = int(tunnel["peer"].rpartition(":")[2])
            at_lns, _ = await pair.lns.only_session()
            hello = encode_control(at_lns["local_tunnel_id"], 0, 9, 9, encode_message(HELLO()))
            descriptors = open_descriptors()
            for number in range(2, 42):
                # Each host asks for many tunnels, from ever new ports.
                for _ in range(30):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                        udp.bind((f"127.0.0.{number}", 0))
                        udp.sendto(encode_control(0, 0, 0, 0, request), ("127.0.0.1", port))
                        if number == 2:
                            udp.sendto(hello, ("127.0.0.1", port))
                await asyncio.sleep(0)
            await pair.lac.ask("call", user="alice")
            await pair.lac.hear("SessionReady", 2)
            status = await pair.lns.ask("status")
            dropped = status["dropped"]
            assert dropped["too-many-half-open-tunnels"] > 900
            assert len(status["tunnels"]) <= 1 + 128
            assert open_descriptors() < descriptors + 128 + 20
            (live,) = [one for one in status["tunnels"] if one["state"] == "established"]
            assert len(live["sessions"]) == 2
            assert live["dropped"]["wrong-source"] == dropped["wrong-source"] > 20
            assert len(pair.lns.heard("DatagramDropped")) <= 3 * 20
            # Nobody listens any more where the requests came from.
            assert 1 <= len(pair.lns.heard("NetworkError")) <= 2 * 20
        left_out = {(one["of"], one["reason"]) for one in pair.lns.heard("RecordsLeftOut")}
        assert left_out >= {
            ("DatagramDropped", "too-many-half-open-tunnels"),
            ("NetworkError", "Connection refused"),
        }

    run(scenario)
